//! Questions about ancestors in trees, in logarithmic time.
//!
//! In: nodes one by one, each after its parent. Out: the nearest common ancestor of two nodes, a node's ancestor at a depth, and its farthest
//! ancestor of which something holds. Beside its parent each node knows one ancestor further up (Myers 1983), so that no walk
//! takes more than a few steps for each doubling of the depth.

/// A forest over the numbers below its size. A node that was not added stands alone.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    depth: u32,
    /// An ancestor; nodes of the same depth have theirs at the same depth.
    jump: u32,
}

impl Tree {
    /// So many nodes, each a root.
    pub fn new(size: usize) -> Tree {
        Tree { nodes: (0..size as u32).map(|n| Node { parent: n, depth: 0, jump: n }).collect() }
    }

    /// Puts a node below a parent, which has its place already.
    pub fn add(&mut self, node: u32, parent: u32) {
        let up = self.nodes[parent as usize];
        let far = self.nodes[up.jump as usize];
        let even = up.depth - far.depth == far.depth - self.nodes[far.jump as usize].depth;
        let jump = if even { far.jump } else { parent };
        self.nodes[node as usize] = Node { parent, depth: up.depth + 1, jump };
    }

    /// Adds a node with the next number, below a parent or as a root.
    pub fn push(&mut self, parent: Option<u32>) {
        let node = self.nodes.len() as u32;
        self.nodes.push(Node { parent: node, depth: 0, jump: node });
        if let Some(parent) = parent {
            self.add(node, parent);
        }
    }

    /// How far a node is from its root.
    pub fn depth(&self, node: u32) -> u32 {
        self.nodes[node as usize].depth
    }

    /// The node itself, if it is a root.
    pub fn parent(&self, node: u32) -> u32 {
        self.nodes[node as usize].parent
    }

    /// The ancestor of a node at a depth that is not below it; it may be the node.
    pub fn at_depth(&self, mut node: u32, depth: u32) -> u32 {
        while self.depth(node) > depth {
            let it = self.nodes[node as usize];
            node = if self.depth(it.jump) >= depth { it.jump } else { it.parent };
        }
        node
    }

    /// The nearest common ancestor of two nodes of one tree.
    pub fn common(&self, a: u32, b: u32) -> u32 {
        let depth = self.depth(a).min(self.depth(b));
        let (mut a, mut b) = (self.at_depth(a, depth), self.at_depth(b, depth));
        while a != b {
            let (x, y) = (self.nodes[a as usize], self.nodes[b as usize]);
            (a, b) = if x.jump == y.jump { (x.parent, y.parent) } else { (x.jump, y.jump) };
        }
        a
    }

    /// The farthest ancestor of a node of which `holds` says so, which it does of the node, and of no ancestor of one of which it does not.
    pub fn farthest(&self, mut node: u32, holds: impl Fn(u32) -> bool) -> u32 {
        loop {
            let it = self.nodes[node as usize];
            if it.parent == node || !holds(it.parent) {
                return node;
            }
            node = if holds(it.jump) { it.jump } else { it.parent };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_agree_with_those_by_parents() {
        let mut random = 1u32;
        let mut tree = Tree::new(2000);
        for node in 1..2000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Long chains, with branches here and there.
            let parent = if random >> 28 == 0 { (random >> 8) % node } else { node - 1 };
            tree.add(node, parent);
        }
        let chain = |mut n: u32| {
            let mut all = vec![n];
            while tree.parent(n) != n {
                n = tree.parent(n);
                all.push(n);
            }
            all
        };
        for a in (0..2000).step_by(37) {
            let up = chain(a);
            assert_eq!(up.len() as u32, tree.depth(a) + 1);
            for (i, &n) in up.iter().enumerate().step_by(5) {
                assert_eq!(tree.at_depth(a, tree.depth(a) - i as u32), n);
                assert_eq!(tree.farthest(a, |x| tree.depth(x) >= tree.depth(n)), n);
            }
            for b in (0..2000).step_by(91) {
                let other = chain(b);
                assert_eq!(Some(&tree.common(a, b)), up.iter().find(|n| other.contains(n)));
            }
        }
    }
}
