use vm::*;
#[test]
fn probe() {
    let engine = Engine::default();
    let mut linker: Linker<u64> = Linker::new(&engine);
    linker.func_wrap("h", "call", |mut c: Caller<'_, u64>| -> Result<()> {
        *c.data_mut() += 1;
        let Some(t) = c.get_export("t").and_then(Extern::into_table) else {
            // called by the host: use what was stored
            return Ok(());
        };
        let Some(Val::FuncRef(Some(f))) = t.get(&c, 0) else { return Ok(()) };
        f.call(&mut c, &[], &mut [])
    }).unwrap();
    let m = Module::new(&engine, r#"(module (import "h" "call" (func $call)) (table (export "t") 1 funcref) (elem (i32.const 0) $call) (func (export "run") call $call))"#).unwrap();
    let mut s = Store::new(&engine, 0);
    let i = linker.instantiate(&mut s, &m).unwrap();
    let run = i.get_typed_func::<(), ()>(&mut s, "run").unwrap();
    println!("{:?} {}", run.call(&mut s, ()).map_err(|e| e.to_string()), s.data());
}
#[test]
fn probe2() {
    // the function is reached without the caller's export
    let engine = Engine::default();
    let mut linker: Linker<(u64, Option<Func>)> = Linker::new(&engine);
    linker.func_wrap("h", "call", |mut c: Caller<'_, (u64, Option<Func>)>| -> Result<()> {
        c.data_mut().0 += 1;
        let f = c.data().1.unwrap();
        f.call(&mut c, &[], &mut [])
    }).unwrap();
    linker.func_wrap("h", "register", |mut c: Caller<'_, (u64, Option<Func>)>, f: Option<Func>| { c.data_mut().1 = f; }).unwrap();
    let m = Module::new(&engine, r#"(module (import "h" "call" (func $call)) (import "h" "register" (func $reg (param funcref))) (elem declare func $call) (func (export "run") (call $reg (ref.func $call)) call $call))"#).unwrap();
    let mut s = Store::new(&engine, (0, None));
    let i = linker.instantiate(&mut s, &m).unwrap();
    let run = i.get_typed_func::<(), ()>(&mut s, "run").unwrap();
    println!("{:?} {}", run.call(&mut s, ()).map_err(|e| e.to_string()), s.data().0);
}
