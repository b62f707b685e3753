//! Says whether this build's compiler settings make handlers' calls sibling calls.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(vm_tail_calls)");
    let optimised = std::env::var("OPT_LEVEL").is_ok_and(|l| matches!(&*l, "2" | "3"));
    // Debug assertions keep checks in handlers whose panics need a frame.
    let assertions = std::env::var_os("CARGO_CFG_DEBUG_ASSERTIONS").is_some();
    if optimised && !assertions {
        println!("cargo::rustc-cfg=vm_tail_calls");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
