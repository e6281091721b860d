//! One regression tree over binned columns, grown leaf by leaf. Labels are split as a set: sorted by what they ask for, a
//! cut between them is the best one of two groups (Fisher 1958), as in LightGBM.

use crate::data::encode::{Matrix, Slot};
use crate::unsupervised::{pool, rows_of_part};
use agon_core::rng::Rng;
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};

/// Bins of a column at most, one more for missing values.
const MOST_BINS: usize = 255;

/// The training part with every number as its bin.
pub struct Bins {
    /// The upper ends of the bins of each column but the last one, which has none.
    edges: Vec<Vec<f64>>,
    /// Labels of each column that holds the places of labels; 0 of numbers.
    labels: Vec<usize>,
    /// The bin of each row, column after column; [`MISSING`] where the number is missing.
    codes: Vec<u8>,
    rows: usize,
}

const MISSING: u8 = 255;
/// Labels of a column at most: a set of them is the bits of a number.
pub const MOST_LABELS: usize = 128;

impl Bins {
    /// Bins with about equally many rows each, or one for each number where there are few, or one for each label. `slots`:
    /// what the columns hold, `[width]`; numbers if it is empty.
    pub fn new(x: &Matrix, slots: &[Slot]) -> Self {
        let rows = x.rows();
        let (mut edges, mut codes) = (Vec::with_capacity(x.width), Vec::with_capacity(x.x.len()));
        let mut labels = vec![0; x.width];
        for (column, labels) in labels.iter_mut().enumerate() {
            let value = |row: usize| x.x[row * x.width + column];
            if let Some(Slot::Code(count)) = slots.get(column) {
                *labels = *count;
                codes.extend((0..rows).map(|row| value(row) as u8));
                edges.push(Vec::new());
                continue;
            }
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
        Self { edges, labels, codes, rows }
    }

    fn column(&self, column: usize) -> &[u8] {
        &self.codes[column * self.rows..][..self.rows]
    }
}

/// How trees grow.
#[derive(Clone, Copy, Debug)]
pub struct Growth<'a> {
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
    /// The share of the columns that each split looks at.
    pub columns: f64,
    /// Of each column whether answers must rise with it (1), must fall (−1) or may do either (0); nothing where all may.
    pub directions: &'a [i8],
}

/// What goes left.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// Numbers up to this one, and maybe missing ones.
    Most(f64, bool),
    /// Labels whose bits are set.
    Among(Box<u128>),
}

/// 24 bytes: forests are as fast as memory is.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Leaf(f64),
    /// Its children stand side by side, the left one here.
    Split(u32, Test, u32),
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
                Node::Split(column, test, left) => {
                    let x = row[*column as usize];
                    let goes_left = match test {
                        Test::Most(_, missing_left) if x.is_nan() => *missing_left,
                        Test::Most(most, _) => x <= *most,
                        Test::Among(labels) => **labels >> (x as u32).min(127) & 1 == 1,
                    };
                    at = if goes_left { *left } else { left + 1 } as usize;
                }
            }
        }
    }

    /// Its number of nodes.
    pub fn nodes(&self) -> usize {
        self.0.len()
    }

    /// As plain data.
    pub fn save(&self) -> Value {
        let node = |node: &Node| match node {
            Node::Leaf(answer) => json!(answer),
            Node::Split(column, Test::Most(most, missing_left), left) => {
                json!([column, most, missing_left, left, left + 1])
            }
            Node::Split(column, Test::Among(labels), left) => {
                let labels: Vec<u32> = (0..128).filter(|label| **labels >> label & 1 == 1).collect();
                json!([column, labels, left, left + 1])
            }
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
            let place = |i: usize| node[i].as_u64().and_then(|x| u32::try_from(x).ok());
            let column = place(0).filter(|column| (*column as usize) < columns)?;
            let (test, left) = if let Some(labels) = node[1].as_array() {
                let label = |set: u128, label: &Value| Some(set | 1 << label.as_u64().filter(|label| *label < 128)?);
                (Test::Among(Box::new(labels.iter().try_fold(0, label)?)), 2)
            } else {
                (Test::Most(node[1].as_f64()?, node[2].as_bool()?), 3)
            };
            // Children come after their parent: no walk goes round in a circle.
            let first = place(left).filter(|first| (at + 1..all.len() - 1).contains(&(*first as usize)))?;
            (place(left + 1)? == first + 1).then_some(Node::Split(column, test, first))
        };
        Some(Self(all.iter().enumerate().map(node).collect::<Option<_>>()?))
    }

    /// As numbers, four a node, of which forests have many: the column (−1 of leaves), the bits of the answer or of what goes
    /// left, the left child doubled, odd where missing numbers go left; labels that go left take both of the middle ones.
    pub fn numbers(&self) -> Vec<i64> {
        let node = |node: &Node| match node {
            Node::Leaf(answer) => [-1, answer.to_bits() as i64, 0, 0],
            Node::Split(column, Test::Most(most, missing_left), left) => {
                [2 * i64::from(*column), most.to_bits() as i64, 0, 2 * i64::from(*left) + i64::from(*missing_left)]
            }
            Node::Split(column, Test::Among(labels), left) => {
                [2 * i64::from(*column) + 1, **labels as i64, (**labels >> 64) as i64, 2 * i64::from(*left)]
            }
        };
        self.0.iter().flat_map(node).collect()
    }

    /// From [`Tree::numbers`]; none where it is no tree over so many columns.
    pub fn of_numbers(numbers: &[i64], columns: usize) -> Option<Self> {
        let all = numbers.len() / 4;
        let node = |(at, node): (usize, &[i64])| {
            if node[0] < 0 {
                return Some(Node::Leaf(f64::from_bits(node[1] as u64)));
            }
            let column = u32::try_from(node[0] / 2).ok()?;
            let test = match node[0] % 2 {
                0 => Test::Most(f64::from_bits(node[1] as u64), node[3] & 1 == 1),
                _ => Test::Among(Box::new(u128::from(node[2] as u64) << 64 | u128::from(node[1] as u64))),
            };
            let left = u32::try_from(node[3] / 2).ok()?;
            let fits = (column as usize) < columns && left as usize > at && (left as usize) + 1 < all;
            fits.then_some(Node::Split(column, test, left))
        };
        let nodes = numbers.chunks_exact(4).enumerate().map(node).collect::<Option<Vec<_>>>()?;
        (!nodes.is_empty()).then_some(Self(nodes))
    }
}

/// What each row begins with and all trees add to it, `[rows, outputs]`; trees of the outputs take turns. Tree by tree, so
/// that it stays in the nearest caches, in the same order for every row; on all cores.
pub fn sums(trees: &[Tree], x: &Matrix, start: &[f64]) -> Vec<f64> {
    let k = start.len();
    let mut out: Vec<f64> = (0..x.rows()).flat_map(|_| start.iter().copied()).collect();
    let rows = rows_of_part(x.rows());
    let mut parts: Vec<(&[f64], &mut [f64])> =
        x.x.chunks(rows * x.width.max(1)).zip(out.chunks_mut(rows * k)).collect();
    let pool = if parts.len() > 1 { pool() } else { ThreadPool::default() };
    pool.each(&mut parts, |_, (x_rows, out)| {
        for (i, tree) in trees.iter().enumerate() {
            let sums = out.iter_mut().skip(i % k).step_by(k);
            x_rows.chunks_exact(x.width).zip(sums).for_each(|(row, sum)| *sum += tree.answer(row));
        }
    });
    out
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

    /// The best answer within bounds.
    fn answer(self, l2: f64, [low, high]: [f64; 2]) -> f64 {
        (-self.g / (self.h + l2 + 1e-15)).clamp(low, high)
    }

    /// By how much, doubled, it lowers the loss.
    fn worth(self, l2: f64, bounds: [f64; 2]) -> f64 {
        if bounds == ANY {
            return self.g * self.g / (self.h + l2 + 1e-15);
        }
        let answer = self.answer(l2, bounds);
        -(2.0 * self.g + (self.h + l2) * answer) * answer
    }
}

/// Bounds of an answer that may be anything.
const ANY: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

const STRIDE: usize = MOST_BINS + 1;

/// What goes left, by bins.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Most { bin: usize, missing_left: bool },
    Among(u128),
}

/// The best way to split a leaf.
#[derive(Clone, Copy, Debug)]
struct Best {
    gain: f64,
    column: usize,
    cut: Cut,
}

struct Leaf {
    node: usize,
    depth: usize,
    /// What answers must be within, so that none that is farther along a column contradicts its direction.
    bounds: [f64; 2],
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

/// Added to the curvature of a label when labels are sorted, and to the penalty of splits between labels: a label of few rows
/// must not look extreme (LightGBM's `cat_smooth` and `cat_l2`, scikit-learn's smoothing).
const SMOOTH: f64 = 10.0;

impl Growth<'_> {
    fn direction(&self, column: usize) -> i8 {
        self.directions.get(column).copied().unwrap_or(0)
    }

    fn fits(&self, s: Sums) -> bool {
        const LEAST_CURVATURE: f64 = 1e-3;
        s.n as usize >= self.leaf_rows && s.h >= LEAST_CURVATURE
    }
}

impl Leaf {
    /// Finds its best split among these columns, if any is worth it.
    fn search(&mut self, bins: &Bins, growth: &Growth<'_>, columns: &[usize]) {
        self.best = None;
        if self.depth < growth.depth && self.rows.len() >= 2 * growth.leaf_rows {
            let own = self.sums.worth(growth.l2, self.bounds);
            for column in columns {
                match bins.labels[*column] {
                    0 => self.search_numbers(bins, growth, *column, own),
                    _ => self.search_labels(growth, *column, own),
                }
            }
        }
        if self.best.is_none() {
            self.histogram = Vec::new();
        }
    }

    fn consider(&mut self, growth: &Growth<'_>, [left, right]: [Sums; 2], gain: f64, column: usize, cut: Cut) {
        if growth.fits(left) && growth.fits(right) && gain > self.best.map_or(1e-12, |best| best.gain) {
            self.best = Some(Best { gain, column, cut });
        }
    }

    /// Whether a split would let answers go against a column's direction.
    fn contradicts(&self, sides: [Sums; 2], growth: &Growth<'_>, column: usize) -> bool {
        let [left, right] = sides.map(|side| side.answer(growth.l2, self.bounds));
        f64::from(growth.direction(column)) * (right - left) < 0.0
    }

    /// Bounds of both sides of a split: between them answers part in the middle, where the column has a direction.
    fn parted(&self, sides: [Sums; 2], growth: &Growth<'_>, column: usize) -> [[f64; 2]; 2] {
        let [left, right] = sides.map(|side| side.answer(growth.l2, self.bounds));
        let (middle, [low, high]) = (0.5 * (left + right), self.bounds);
        match growth.direction(column) {
            0 => [self.bounds; 2],
            1 => [[low, middle], [middle, high]],
            _ => [[middle, high], [low, middle]],
        }
    }

    fn search_numbers(&mut self, bins: &Bins, growth: &Growth<'_>, column: usize, own: f64) {
        let edges = &bins.edges[column];
        let at = column * STRIDE;
        let missing = self.histogram[at + MISSING as usize];
        let mut left = Sums::default();
        // The last bin ends nowhere: a split after it parts missing values from all others.
        let last = edges.len() + usize::from(missing.n > 0);
        for bin in 0..last {
            left = left.plus(self.histogram[at + bin]);
            for missing_left in [false, true] {
                if missing_left && (missing.n == 0 || bin == edges.len()) {
                    continue;
                }
                let left = if missing_left { left.plus(missing) } else { left };
                let right = self.sums.less(left);
                if bin < edges.len() && self.contradicts([left, right], growth, column) {
                    continue;
                }
                let gain = left.worth(growth.l2, self.bounds) + right.worth(growth.l2, self.bounds) - own;
                self.consider(growth, [left, right], gain, column, Cut::Most { bin, missing_left });
            }
        }
    }

    fn search_labels(&mut self, growth: &Growth<'_>, column: usize, own: f64) {
        let of = |leaf: &Self, label: usize| leaf.histogram[column * STRIDE + label];
        let mut there: Vec<usize> = (0..MOST_LABELS).filter(|label| of(self, *label).n > 0).collect();
        let asks = |sums: Sums| sums.g / (sums.h + SMOOTH);
        there.sort_by(|a, b| asks(of(self, *a)).total_cmp(&asks(of(self, *b))));
        let (mut left, mut among) = (Sums::default(), 0u128);
        for label in there.iter().take(there.len().saturating_sub(1)) {
            left = left.plus(of(self, *label));
            among |= 1 << label;
            let right = self.sums.less(left);
            let l2 = growth.l2 + SMOOTH;
            let gain = left.worth(l2, self.bounds) + right.worth(l2, self.bounds) - own;
            self.consider(growth, [left, right], gain, column, Cut::Among(among));
        }
    }
}

/// Columns that a split looks at: all, or some drawn at random.
fn looked_at<'a>(all: &'a mut [usize], share: f64, rng: &mut Rng) -> &'a [usize] {
    let count = ((all.len() as f64 * share).round() as usize).clamp(1, all.len());
    if count < all.len() {
        for i in 0..count {
            all.swap(i, i + rng.below((all.len() - i) as u32) as usize);
        }
        all[..count].sort_unstable();
    }
    &all[..count]
}

/// A tree that lowers the loss with these derivatives, a number for each row of `bins`, as these rows have it.
pub fn grow(bins: &Bins, rows: Vec<u32>, g: &[f64], h: &[f64], growth: &Growth<'_>, rng: &mut Rng) -> Tree {
    let sums = rows.iter().fold(Sums::default(), |s, row| {
        let row = *row as usize;
        Sums { g: s.g + g[row], h: s.h + h[row], n: s.n + 1 }
    });
    let mut columns: Vec<usize> = (0..bins.edges.len()).collect();
    let answer = |s: Sums, [low, high]: [f64; 2]| {
        (-growth.rate * s.g / (s.h + growth.l2 + 1e-15)).clamp(growth.rate * low, growth.rate * high)
    };
    let mut nodes = vec![Node::Leaf(answer(sums, ANY))];
    let mut root =
        Leaf { node: 0, depth: 0, bounds: ANY, sums, histogram: histogram(bins, &rows, g, h), rows, best: None };
    root.search(bins, growth, looked_at(&mut columns, growth.columns, rng));
    let mut leaves = vec![root];
    let mut count = 1;
    while count < growth.leaves {
        let gain = |leaf: &Leaf| leaf.best.map_or(0.0, |best| best.gain);
        // Of equal ones the first. Where every split is made, their order means nothing: the last one, so that few are open.
        let next = match growth.leaves {
            usize::MAX => leaves.len().checked_sub(1),
            _ => (0..leaves.len()).rev().max_by(|a, b| gain(&leaves[*a]).total_cmp(&gain(&leaves[*b]))),
        };
        let Some((at, best)) = next.and_then(|at| Some((at, leaves[at].best?))) else { break };
        let mut parent = leaves.swap_remove(at);
        let codes = bins.column(best.column);
        let goes_left = |row: &u32| match (best.cut, codes[*row as usize]) {
            (Cut::Most { missing_left, .. }, MISSING) => missing_left,
            (Cut::Most { bin, .. }, code) => code as usize <= bin,
            (Cut::Among(labels), code) => labels >> code & 1 == 1,
        };
        let (left, right): (Vec<u32>, Vec<u32>) = parent.rows.iter().partition(|row| goes_left(row));
        let left_is_small = left.len() < right.len();
        let small = histogram(bins, if left_is_small { &left } else { &right }, g, h);
        let mut large = std::mem::take(&mut parent.histogram);
        large.iter_mut().zip(&small).for_each(|(all, small)| *all = all.less(*small));
        let (left_histogram, right_histogram) = if left_is_small { (small, large) } else { (large, small) };
        let column = left_histogram[best.column * STRIDE..][..STRIDE].iter();
        let left_sums = column.fold(Sums::default(), |sum, bin| sum.plus(*bin));
        let right_sums = parent.sums.less(left_sums);
        // A split that parts missing values from all numbers has no direction.
        let bounds = match best.cut {
            Cut::Most { bin, .. } if bin < bins.edges[best.column].len() => {
                parent.parted([left_sums, right_sums], growth, best.column)
            }
            _ => [parent.bounds; 2],
        };
        let children = [(left, left_sums, left_histogram), (right, right_sums, right_histogram)];
        let test = match best.cut {
            Cut::Most { bin, missing_left } => {
                Test::Most(bins.edges[best.column].get(bin).copied().unwrap_or(f64::MAX), missing_left)
            }
            Cut::Among(labels) => Test::Among(Box::new(labels)),
        };
        nodes[parent.node] = Node::Split(best.column as u32, test, nodes.len() as u32);
        count += 1;
        for ((rows, sums, histogram), bounds) in children.into_iter().zip(bounds) {
            let (node, depth) = (nodes.len(), parent.depth + 1);
            let mut leaf = Leaf { node, depth, bounds, rows, sums, histogram, best: None };
            nodes.push(Node::Leaf(answer(sums, bounds)));
            leaf.search(bins, growth, looked_at(&mut columns, growth.columns, rng));
            if leaf.best.is_some() || growth.leaves < usize::MAX {
                leaves.push(leaf);
            }
        }
    }
    Tree(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    const GROWTH: Growth<'_> =
        Growth { leaves: 3, depth: 8, leaf_rows: 1, l2: 0.0, rate: 1.0, columns: 1.0, directions: &[] };

    fn all(bins: &Bins, g: &[f64], growth: &Growth<'_>) -> Tree {
        let rows = (0..g.len() as u32).collect();
        grow(bins, rows, g, &vec![1.0; g.len()], growth, &mut Rng::new(1, Stream::Shuffle, 0))
    }

    /// Labels in no order of use: one split parts those that ask for 1 from those that ask for 0, and what no row had goes
    /// right.
    #[test]
    fn labels_are_split_as_a_set() {
        let m = Matrix { x: (0..120).map(|i| f64::from(i % 6)).collect(), width: 1 };
        let high = |x: f64| f64::from(u8::from([1.0, 2.0, 5.0].contains(&x)));
        let g: Vec<f64> = m.x.iter().map(|x| -high(*x)).collect();
        let tree = all(&Bins::new(&m, &[Slot::Code(7)]), &g, &Growth { leaves: 2, ..GROWTH });
        assert_eq!(tree.nodes(), 3);
        assert!(m.x.iter().all(|x| tree.answer(&[*x]) == high(*x)), "{tree:?}");
        assert_eq!(Node::Leaf(tree.answer(&[6.0])), tree.0[2], "no row had it: right");
        assert_eq!(Tree::load(&tree.save(), 1).unwrap(), tree);
        assert_eq!(Tree::of_numbers(&tree.numbers(), 1).unwrap(), tree);
        assert!(Tree::of_numbers(&tree.numbers(), 0).is_none() && Tree::of_numbers(&[0, 0, 0, 0], 1).is_none());
    }

    /// Grown to the end, every row has a leaf of its own; looked at by some columns only, two trees differ.
    #[test]
    fn trees_without_a_limit_and_with_some_columns() {
        let mut rng = Rng::new(3, Stream::Env, 0);
        let m = Matrix { x: (0..400).map(|_| rng.f64()).collect(), width: 4 };
        let g: Vec<f64> = (0..100).map(|row| -m.row(row)[0]).collect();
        let whole = all(&Bins::new(&m, &[]), &g, &Growth { leaves: usize::MAX, depth: 99, ..GROWTH });
        assert_eq!(whole.nodes(), 199);
        assert!((0..100).all(|row| (whole.answer(m.row(row)) + g[row]).abs() < 1e-9));
        let some = Growth { columns: 0.5, leaves: 16, ..GROWTH };
        let bins = Bins::new(&m, &[]);
        let mut tree = || grow(&bins, (0..100).collect(), &g, &[1.0; 100], &some, &mut rng);
        assert_ne!(tree(), tree());
    }

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
        let tree = all(&Bins::new(&m, &[]), &g, &GROWTH);
        assert!((0..60).all(|row| (tree.answer(m.row(row)) - y(row)).abs() < 1e-12), "{tree:?}");
        assert_eq!(Tree::load(&tree.save(), 2).unwrap(), tree);
        assert_eq!(Tree::of_numbers(&tree.numbers(), 2).unwrap(), tree);
        assert_eq!(tree.answer(&[29.4, 0.0]), 5.0);
    }

    #[test]
    fn leaves_have_enough_rows_and_damaged_trees_are_refused() {
        let m = Matrix { x: (0..50).map(f64::from).collect(), width: 1 };
        let g: Vec<f64> = (0..50).map(|i| if i < 3 { -9.0 } else { 0.0 }).collect();
        let tree = all(&Bins::new(&m, &[]), &g, &Growth { leaf_rows: 10, leaves: 2, ..GROWTH });
        assert_eq!(tree.answer(&[0.0]), tree.answer(&[9.0]), "ten rows lie together: {tree:?}");
        for wrong in
            [json!([]), json!([[0, 1.0, true, 0, 0], 1.0]), json!([[3, 1.0, true, 1, 2], 1.0, 2.0]), json!(["x"])]
        {
            assert!(Tree::load(&wrong, 1).is_none(), "{wrong}");
        }
    }
}
