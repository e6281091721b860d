//! One regression tree over binned columns, grown leaf by leaf.

use crate::data::encode::Matrix;
use serde_json::{Value, json};

/// Bins of a column at most, one more for missing values.
const MOST_BINS: usize = 255;

/// The training part with every number as its bin.
pub struct Bins {
    /// The upper ends of the bins of each column but the last one, which has none.
    edges: Vec<Vec<f64>>,
    /// The bin of each row, column after column; [`MISSING`] where the number is missing.
    codes: Vec<u8>,
    rows: usize,
}

const MISSING: u8 = 255;

impl Bins {
    /// Bins with about equally many rows each, or one for each number where there are few.
    pub fn new(x: &Matrix) -> Self {
        let rows = x.rows();
        let (mut edges, mut codes) = (Vec::with_capacity(x.width), Vec::with_capacity(x.x.len()));
        for column in 0..x.width {
            let value = |row: usize| x.x[row * x.width + column];
            let mut sorted: Vec<f64> = (0..rows).map(value).filter(|x| !x.is_nan()).collect();
            sorted.sort_by(f64::total_cmp);
            let mut distinct = sorted.clone();
            distinct.dedup();
            let middle = |pair: &[f64]| pair[0] + (pair[1] - pair[0]) / 2.0;
            let own: Vec<f64> = if distinct.len() <= MOST_BINS {
                distinct.windows(2).map(middle).collect()
            } else {
                let share = |i: usize| i * (sorted.len() - 1) / MOST_BINS;
                let mut own: Vec<f64> = (1..MOST_BINS).map(|i| middle(&sorted[share(i)..share(i) + 2])).collect();
                own.dedup();
                own
            };
            codes.extend((0..rows).map(|row| match value(row) {
                x if x.is_nan() => MISSING,
                x => own.partition_point(|edge| *edge < x) as u8,
            }));
            edges.push(own);
        }
        Self { edges, codes, rows }
    }

    fn column(&self, column: usize) -> &[u8] {
        &self.codes[column * self.rows..][..self.rows]
    }
}

/// How trees grow.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Leaves at most.
    pub leaves: usize,
    /// Levels at most.
    pub depth: usize,
    /// Rows in a leaf at least.
    pub leaf_rows: usize,
    /// The penalty on squared answers.
    pub l2: f64,
    /// What answers are multiplied by.
    pub rate: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Leaf(f64),
    Split { column: usize, most: f64, missing_left: bool, left: usize, right: usize },
}

/// A tree: the first node is the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree(Vec<Node>);

impl Tree {
    /// What it adds to the score of a row.
    pub fn answer(&self, row: &[f64]) -> f64 {
        let mut at = 0;
        loop {
            match &self.0[at] {
                Node::Leaf(answer) => return *answer,
                Node::Split { column, most, missing_left, left, right } => {
                    let x = row[*column];
                    let goes_left = if x.is_nan() { *missing_left } else { x <= *most };
                    at = if goes_left { *left } else { *right };
                }
            }
        }
    }

    /// As plain data.
    pub fn save(&self) -> Value {
        let node = |node: &Node| match node {
            Node::Leaf(answer) => json!(answer),
            Node::Split { column, most, missing_left, left, right } => json!([column, most, missing_left, left, right]),
        };
        self.0.iter().map(node).collect()
    }

    /// From plain data; none where it is no tree over so many columns.
    pub fn load(saved: &Value, columns: usize) -> Option<Self> {
        let all = saved.as_array().filter(|all| !all.is_empty())?;
        let node = |(at, node): (usize, &Value)| {
            if let Some(answer) = node.as_f64() {
                return Some(Node::Leaf(answer));
            }
            let place = |i: usize| node[i].as_u64().map(|x| x as usize);
            // Children come after their parent: no walk goes round in a circle.
            let child = |i: usize| place(i).filter(|child| (at + 1..all.len()).contains(child));
            let column = place(0).filter(|column| *column < columns)?;
            let (most, missing_left) = (node[1].as_f64()?, node[2].as_bool()?);
            Some(Node::Split { column, most, missing_left, left: child(3)?, right: child(4)? })
        };
        Some(Self(all.iter().enumerate().map(node).collect::<Option<_>>()?))
    }
}

/// Sums of first and second derivatives, and rows.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    g: f64,
    h: f64,
    n: u32,
}

impl Sums {
    fn plus(self, o: Self) -> Self {
        Self { g: self.g + o.g, h: self.h + o.h, n: self.n + o.n }
    }

    fn less(self, o: Self) -> Self {
        Self { g: self.g - o.g, h: self.h - o.h, n: self.n - o.n }
    }

    fn worth(self, l2: f64) -> f64 {
        self.g * self.g / (self.h + l2 + 1e-15)
    }
}

const STRIDE: usize = MOST_BINS + 1;

/// The best way to split a leaf.
#[derive(Clone, Copy, Debug)]
struct Best {
    gain: f64,
    column: usize,
    bin: usize,
    missing_left: bool,
}

struct Leaf {
    node: usize,
    depth: usize,
    rows: Vec<u32>,
    sums: Sums,
    histogram: Vec<Sums>,
    best: Option<Best>,
}

fn histogram(bins: &Bins, rows: &[u32], g: &[f64], h: &[f64]) -> Vec<Sums> {
    let mut out = vec![Sums::default(); bins.edges.len() * STRIDE];
    for (column, out) in out.chunks_exact_mut(STRIDE).enumerate() {
        let codes = bins.column(column);
        for row in rows.iter().map(|row| *row as usize) {
            let bin = &mut out[codes[row] as usize];
            *bin = Sums { g: bin.g + g[row], h: bin.h + h[row], n: bin.n + 1 };
        }
    }
    out
}

impl Leaf {
    /// Finds its best split, if any is worth it.
    fn search(&mut self, bins: &Bins, growth: &Growth) {
        const LEAST_CURVATURE: f64 = 1e-3;
        self.best = None;
        if self.depth >= growth.depth || self.rows.len() < 2 * growth.leaf_rows {
            return;
        }
        let own = self.sums.worth(growth.l2);
        let fits = |s: Sums| s.n as usize >= growth.leaf_rows && s.h >= LEAST_CURVATURE;
        for (column, bin_sums) in self.histogram.chunks_exact(STRIDE).enumerate() {
            let (edges, missing) = (&bins.edges[column], bin_sums[MISSING as usize]);
            let mut left = Sums::default();
            // The last bin ends nowhere: a split after it parts missing values from all others.
            let last = edges.len() + usize::from(missing.n > 0);
            for (bin, sums) in bin_sums.iter().enumerate().take(last) {
                left = left.plus(*sums);
                for missing_left in [false, true] {
                    if missing_left && (missing.n == 0 || bin == edges.len()) {
                        continue;
                    }
                    let left = if missing_left { left.plus(missing) } else { left };
                    let right = self.sums.less(left);
                    if !fits(left) || !fits(right) {
                        continue;
                    }
                    let gain = left.worth(growth.l2) + right.worth(growth.l2) - own;
                    if gain > self.best.map_or(1e-12, |best| best.gain) {
                        self.best = Some(Best { gain, column, bin, missing_left });
                    }
                }
            }
        }
    }
}

/// A tree that lowers the loss with these derivatives, a row each.
pub fn grow(bins: &Bins, g: &[f64], h: &[f64], growth: &Growth) -> Tree {
    let rows: Vec<u32> = (0..bins.rows as u32).collect();
    let sums = rows.iter().fold(Sums::default(), |s, row| {
        let row = *row as usize;
        Sums { g: s.g + g[row], h: s.h + h[row], n: s.n + 1 }
    });
    let answer = |s: Sums| -growth.rate * s.g / (s.h + growth.l2 + 1e-15);
    let mut nodes = vec![Node::Leaf(answer(sums))];
    let mut root = Leaf { node: 0, depth: 0, sums, histogram: histogram(bins, &rows, g, h), rows, best: None };
    root.search(bins, growth);
    let mut leaves = vec![root];
    while leaves.len() < growth.leaves {
        let gain = |leaf: &Leaf| leaf.best.map_or(0.0, |best| best.gain);
        // Of equal ones the first.
        let next = (0..leaves.len()).rev().max_by(|a, b| gain(&leaves[*a]).total_cmp(&gain(&leaves[*b])));
        let Some((at, best)) = next.and_then(|at| Some((at, leaves[at].best?))) else { break };
        let parent = leaves.swap_remove(at);
        let codes = bins.column(best.column);
        let goes_left = |row: &u32| match codes[*row as usize] {
            MISSING => best.missing_left,
            code => code as usize <= best.bin,
        };
        let (left, right): (Vec<u32>, Vec<u32>) = parent.rows.iter().partition(|row| goes_left(row));
        let left_is_small = left.len() < right.len();
        let small = histogram(bins, if left_is_small { &left } else { &right }, g, h);
        let mut large = parent.histogram;
        large.iter_mut().zip(&small).for_each(|(all, small)| *all = all.less(*small));
        let (left_histogram, right_histogram) = if left_is_small { (small, large) } else { (large, small) };
        let column = left_histogram[best.column * STRIDE..][..STRIDE].iter();
        let left_sums = column.fold(Sums::default(), |sum, bin| sum.plus(*bin));
        let children = [(left, left_sums, left_histogram), (right, parent.sums.less(left_sums), right_histogram)];
        let first = nodes.len();
        nodes[parent.node] = Node::Split {
            column: best.column,
            most: bins.edges[best.column].get(best.bin).copied().unwrap_or(f64::MAX),
            missing_left: best.missing_left,
            left: first,
            right: first + 1,
        };
        for (rows, sums, histogram) in children {
            let mut leaf = Leaf { node: nodes.len(), depth: parent.depth + 1, rows, sums, histogram, best: None };
            nodes.push(Node::Leaf(answer(sums)));
            leaf.search(bins, growth);
            leaves.push(leaf);
        }
    }
    Tree(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWTH: Growth = Growth { leaves: 3, depth: 8, leaf_rows: 1, l2: 0.0, rate: 1.0 };

    /// A step function of one column, the other one is noise: two splits find it whole; missing values go where they
    /// belong.
    #[test]
    fn steps_are_found() {
        let x: Vec<f64> =
            (0..60).flat_map(|i| [if i % 20 == 7 { f64::NAN } else { f64::from(i) }, f64::from(i * 7 % 11)]).collect();
        let m = Matrix { x, width: 2 };
        let y = |row: usize| match row {
            _ if row % 20 == 7 => 5.0,
            0..20 => 1.0,
            20..40 => 5.0,
            _ => 3.0,
        };
        // The derivative of ½ (0 − y)² at 0.
        let g: Vec<f64> = (0..60).map(|row| -y(row)).collect();
        let tree = grow(&Bins::new(&m), &g, &[1.0; 60], &GROWTH);
        assert!((0..60).all(|row| (tree.answer(m.row(row)) - y(row)).abs() < 1e-12), "{tree:?}");
        assert_eq!(Tree::load(&tree.save(), 2).unwrap(), tree);
        assert_eq!(tree.answer(&[29.4, 0.0]), 5.0);
    }

    #[test]
    fn leaves_have_enough_rows_and_damaged_trees_are_refused() {
        let m = Matrix { x: (0..50).map(f64::from).collect(), width: 1 };
        let g: Vec<f64> = (0..50).map(|i| if i < 3 { -9.0 } else { 0.0 }).collect();
        let tree = grow(&Bins::new(&m), &g, &[1.0; 50], &Growth { leaf_rows: 10, leaves: 2, ..GROWTH });
        assert_eq!(tree.answer(&[0.0]), tree.answer(&[9.0]), "ten rows lie together: {tree:?}");
        for wrong in
            [json!([]), json!([[0, 1.0, true, 0, 0], 1.0]), json!([[3, 1.0, true, 1, 2], 1.0, 2.0]), json!(["x"])]
        {
            assert!(Tree::load(&wrong, 1).is_none(), "{wrong}");
        }
    }
}
