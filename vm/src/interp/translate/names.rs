//! WebAssembly operators as text, in the specification's spelling.

use wasmparser::Operator;

/// Prefixes that the specification sets off by a dot.
const SPACES: [&str; 20] = [
    "i32", "i64", "f32", "f64", "v128", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2", "local", "global",
    "memory", "table", "ref", "data", "elem", "struct", "array",
];

/// Name of the visitor method of an operator, which is its name with underscores.
fn visitor(op: &Operator<'_>) -> &'static str {
    macro_rules! arms {
        ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
            match op {
                $(Operator::$op { .. } => stringify!($visit),)*
                _ => "visit_unknown",
            }
        };
    }
    wasmparser::for_each_operator!(arms)
}

/// An operator with its immediates.
pub(super) fn text(op: &Operator<'_>) -> String {
    let name = visitor(op).trim_start_matches("visit_");
    let name = name.strip_prefix("typed_").unwrap_or(name);
    let dotted = match name.split_once('_') {
        Some(("atomic", rest)) => format!("atomic.{rest}"),
        Some((space, rest)) if SPACES.contains(&space) => format!("{space}.{}", rest.replace("atomic_", "atomic.")),
        _ => name.to_string(),
    };
    // `atomic.rmw8_add_u` is spelled `atomic.rmw8.add_u`.
    let dotted = match dotted.split_once("atomic.rmw") {
        Some((before, after)) => format!("{before}atomic.rmw{}", after.replacen('_', ".", 1)),
        None => dotted,
    };
    let shown = format!("{op:?}");
    let immediates = match shown.split_once(" { ") {
        Some((_, fields)) if fields.contains("MemArg") => memory_immediates(fields),
        Some((_, fields)) => {
            let values = fields.trim_end_matches('}').split(", ").map(|f| f.split_once(": ").map_or(f, |p| p.1).trim());
            values.filter(|v| *v != "Empty").map(|v| format!(" {v}")).collect()
        }
        None => String::new(),
    };
    dotted + &immediates
}

/// `offset=8 memory=1`, each where it is not zero.
fn memory_immediates(fields: &str) -> String {
    let number = |key: &str| {
        let at = fields.find(key)? + key.len();
        let digits: String = fields[at..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok().filter(|&n| n != 0)
    };
    let mut out = String::new();
    for (key, label) in [("Memory(", "memory"), ("offset: ", "offset"), ("lane: ", "lane")] {
        if let Some(n) = number(key) {
            out += &format!(" {label}={n}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::text;
    use wasmparser::{BlockType, MemArg, MemArgTarget, Operator};

    #[test]
    fn operators_have_the_names_of_the_specification() {
        let memarg = MemArg { align: 0, max_align: 0, offset: 8, target: MemArgTarget::Memory(0), ordering: None };
        for (op, name) in [
            (Operator::LocalGet { local_index: 3 }, "local.get 3"),
            (Operator::I32Load8U { memarg }, "i32.load8_u offset=8"),
            (Operator::I64AtomicRmw8AddU { memarg }, "i64.atomic.rmw8.add_u offset=8"),
            (Operator::I32TruncSatF64S, "i32.trunc_sat_f64_s"),
            (Operator::BrIf { relative_depth: 1 }, "br_if 1"),
            (Operator::CallIndirect { type_index: 2, table_index: 0 }, "call_indirect 2 0"),
            (Operator::I16x8ExtMulLowI8x16S, "i16x8.extmul_low_i8x16_s"),
            (Operator::Block { blockty: BlockType::Empty }, "block"),
            (Operator::End, "end"),
        ] {
            assert_eq!(text(&op), name);
        }
    }
}
