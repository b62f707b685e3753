//! An HTTP server. `/` answers a line, `/echo` the request's body, `/slow` a line after 50 ms, `/quit` ends it.
//! Argument: the address to listen on. Prints the address it got.

use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server, StatusCode};
use std::convert::Infallible;
use std::time::Duration;

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(match request.uri().path() {
        "/" => Response::new(Body::from("hello\n")),
        "/echo" => Response::new(request.into_body()),
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Response::new(Body::from("late\n"))
        }
        "/quit" => std::process::exit(0),
        _ => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).expect("an address").parse().expect("an address");
    let service = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(answer)) });
    let server = Server::bind(&address).serve(service);
    println!("{}", server.local_addr());
    if let Err(error) = server.await {
        eprintln!("{error}");
    }
}
