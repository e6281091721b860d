//! Priorities of transitions, and draws by them.

use std::hint::black_box;

/// Children of a node.
const FAN: usize = 16;

/// The priorities or sums below a node: one cache line, and never parts of two.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Node([f32; FAN]);

/// Priorities with their sums (Schaul et al. 2016, appendix B.2.1). Sums are recomputed from the children at every
/// change, so that rounding errors do not accumulate.
#[derive(Debug)]
pub struct SumTree {
    /// From the leaves to the root.
    levels: Vec<Vec<Node>>,
}

impl SumTree {
    /// `n` leaves of priority 0.
    pub fn new(n: usize) -> Self {
        let (mut levels, mut len) = (Vec::new(), n.max(1));
        loop {
            len = len.div_ceil(FAN);
            levels.push(vec![Node::default(); len]);
            if len == 1 {
                return Self { levels };
            }
        }
    }

    /// The sum of all priorities.
    pub fn total(&self) -> f32 {
        sum(&self.levels[self.levels.len() - 1][0])
    }

    /// A leaf's priority.
    pub fn get(&self, leaf: usize) -> f32 {
        self.levels[0][leaf / FAN].0[leaf % FAN]
    }

    /// All priorities; zeros fill the last node.
    pub fn leaves(&self) -> Vec<f32> {
        self.levels[0].iter().flat_map(|node| node.0).collect()
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of::<Node>() * self.levels.iter().map(Vec::capacity).sum::<usize>()
    }

    /// Changes the priorities of some leaves. All leaves first, then a level at a time: memory latencies overlap.
    pub fn set(&mut self, leaves: &[usize], priority: impl Fn(usize) -> f32) {
        for (i, leaf) in leaves.iter().enumerate() {
            self.levels[0][leaf / FAN].0[leaf % FAN] = priority(i);
        }
        let mut width = FAN;
        for level in 1..self.levels.len() {
            let (below, here) = self.levels.split_at_mut(level);
            let (below, here) = (&below[level - 1], &mut here[0]);
            for leaf in leaves {
                let node = leaf / width;
                here[node / FAN].0[node % FAN] = sum(&below[node]);
            }
            width *= FAN;
        }
    }

    /// Finds the leaves in whose shares the `masses` lie, from 0 to the total, and uses the masses up. Never a leaf of
    /// priority 0, unless all are.
    pub fn find(&self, masses: &mut [f32], leaves: &mut [usize]) {
        leaves.fill(0);
        for level in self.levels.iter().rev() {
            fetch(leaves.iter().map(|node| level[*node].0[0]));
            for (mass, node) in masses.iter_mut().zip(leaves.iter_mut()) {
                let children = &level[*node].0;
                // How many shares end before the mass, without a branch: no guess at where it lies would be good.
                let (mut ends, mut end) = ([0f32; FAN], 0.0);
                for (here, child) in ends.iter_mut().zip(children) {
                    end += child;
                    *here = end;
                }
                let mut pick = ends.iter().map(|end| u32::from(*mass >= *end)).sum::<u32>() as usize;
                if pick == FAN {
                    // Rounding left a little behind the last child: the last one with any takes it.
                    pick = children.iter().rposition(|c| *c > 0.0).unwrap_or(0);
                }
                *mass = (*mass - if pick > 0 { ends[pick - 1] } else { 0.0 }).min(children[pick]);
                *node = *node * FAN + pick;
            }
        }
    }
}

/// Reads scattered entries before they are used: a loop that does nothing else has many more reads in flight than one
/// that works on each.
pub fn fetch(numbers: impl Iterator<Item = f32>) {
    black_box(numbers.fold(0, |all, number| all ^ number.to_bits()));
}

/// The sum of a node's children, four sums side by side.
fn sum(node: &Node) -> f32 {
    let mut sums = [0f32; 4];
    for part in node.0.chunks_exact(4) {
        sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::{Rng, Stream};

    #[test]
    fn the_tree_draws_by_priority() {
        let mut tree = SumTree::new(1000);
        tree.set(&(0..1000).collect::<Vec<_>>(), |i| if i % 10 == 0 { i as f32 } else { 0.0 });
        let total: f32 = (0..1000).step_by(10).map(|i| i as f32).sum();
        assert_eq!(tree.total(), total);
        let mut count = vec![0u32; 1000];
        let mut rng = Rng::new(3, Stream::Shuffle, 0);
        let find = |mass: f32| {
            let (mut mass, mut leaf) = ([mass], [0]);
            tree.find(&mut mass, &mut leaf);
            leaf[0]
        };
        (0..200_000).for_each(|_| count[find(rng.f32() * tree.total())] += 1);
        for (i, &n) in count.iter().enumerate() {
            let wanted = 200_000.0 * f64::from(tree.get(i)) / f64::from(total);
            assert!((f64::from(n) - wanted).abs() <= 5.0 * wanted.sqrt(), "{i}: {n}, not {wanted}");
        }
        assert_eq!(find(total * 1.1), 990, "too much mass ends in the last leaf that has any");
    }
}
