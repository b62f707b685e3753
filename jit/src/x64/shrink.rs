//! Branches in their short form where the distance allows it.
//!
//! In: code in which every branch to a label has a 32-bit distance of zero. Out: the code with distances filled in, short branches shortened, and the
//! mapping of offsets. Shortening only brings things nearer, so what fits stays fitting; a few rounds find nearly all.

/// A branch: `jmp rel32` (5 bytes) or `jcc rel32` (6 bytes).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Branch {
    /// Offset of its first byte.
    pub(crate) at: u32,
    /// Label it leads to.
    pub(crate) label: u32,
    /// Whether it is conditional.
    pub(crate) conditional: bool,
}

impl Branch {
    fn long(self) -> u32 {
        if self.conditional { 6 } else { 5 }
    }
}

/// Where offsets go.
pub(crate) struct Mapping {
    /// End of each shortened branch in the old code, and how many bytes have been removed up to there.
    cuts: Vec<(u32, u32)>,
    next: usize,
}

impl Mapping {
    /// New offset of an old one that is not inside a branch. Cheap for ascending offsets.
    pub(crate) fn map(&mut self, at: u32) -> u32 {
        if self.next > 0 && self.cuts[self.next - 1].0 > at {
            self.next = self.cuts.partition_point(|c| c.0 <= at);
        }
        let near = self.cuts[self.next..].iter().take(8).take_while(|c| c.0 <= at).count();
        self.next += near;
        if near == 8 {
            self.next += self.cuts[self.next..].partition_point(|c| c.0 <= at);
        }
        at - if self.next == 0 { 0 } else { self.cuts[self.next - 1].1 }
    }
}

/// How often the distances of branches that are still long are looked at again.
pub(crate) const ROUNDS: usize = 3;

/// Shortens branches (sorted by `at`) in up to so many rounds; `labels` become new offsets.
pub(crate) fn shrink(code: Vec<u8>, branches: &[Branch], labels: &mut [u32], rounds: usize) -> (Vec<u8>, Mapping) {
    let mut short = vec![false; branches.len()];
    let mut mapping = Mapping { cuts: Vec::new(), next: 0 };
    for _ in 0..rounds {
        let mut changed = false;
        for (i, b) in branches.iter().enumerate() {
            if !short[i] {
                let end = mapping.map(b.at + b.long());
                let to = mapping.map(labels[b.label as usize]);
                // Forward, the branch's own bytes shrink as well: the distance counts from its end.
                let distance = i64::from(to) - i64::from(end);
                let backward = distance < 0;
                let distance = if backward { distance + i64::from(b.long()) - 2 } else { distance };
                if (-128..128).contains(&distance) {
                    short[i] = true;
                    changed = true;
                }
            }
        }
        let mut removed = 0;
        mapping.cuts.clear();
        mapping.next = 0;
        for (i, b) in branches.iter().enumerate() {
            if short[i] {
                removed += b.long() - 2;
                mapping.cuts.push((b.at + b.long(), removed));
            }
        }
        if !changed {
            break;
        }
    }
    for l in labels.iter_mut() {
        if *l != u32::MAX {
            *l = mapping.map(*l);
        }
    }
    (rewrite(&code, branches, &short, labels), mapping)
}

fn rewrite(code: &[u8], branches: &[Branch], short: &[bool], labels: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(code.len() + 64);
    let mut from = 0;
    for (b, &short) in branches.iter().zip(short) {
        let at = b.at as usize;
        out.extend_from_slice(&code[from..at]);
        let to = i64::from(labels[b.label as usize]);
        if short {
            let distance = to - (out.len() as i64 + 2);
            out.push(if b.conditional { 0x70 | code[at + 1] & 15 } else { 0xeb });
            out.push(distance as i8 as u8);
        } else {
            let long = b.long() as usize;
            let distance = to - (out.len() + long) as i64;
            out.extend_from_slice(&code[at..at + long - 4]);
            out.extend_from_slice(&(distance as i32).to_le_bytes());
        }
        from = at + b.long() as usize;
    }
    out.extend_from_slice(&code[from..]);
    out
}
