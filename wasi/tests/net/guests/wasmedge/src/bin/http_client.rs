//! An HTTP client. Arguments: an URL, and a body to post if there is one. Prints status and body.

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("an URL");
    let client = reqwest::Client::new();
    let request = match args.next() {
        Some(body) => client.post(url).body(body),
        None => client.get(url),
    };
    match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            println!("{status} {}", response.text().await.expect("a body"));
        }
        Err(error) => {
            eprintln!("{error:?}");
            std::process::exit(1);
        }
    }
}
