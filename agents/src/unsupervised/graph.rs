//! How near rows are to their neighbours, the same both ways: a sparse symmetric matrix.

/// Weights of pairs of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Where the neighbours of each row begin, and the end.
    begin: Vec<usize>,
    row: Vec<u32>,
    weight: Vec<f64>,
}

impl Graph {
    /// From weights of one row for another; `union` makes one weight of both directions, of which one may be 0. No pair may
    /// be there twice.
    pub fn symmetric(
        rows: usize,
        edges: impl Iterator<Item = (u32, u32, f64)>,
        union: impl Fn(f64, f64) -> f64,
    ) -> Self {
        let mut all: Vec<(u32, u32, [f64; 2])> =
            edges.flat_map(|(i, j, weight)| [(i, j, [weight, 0.0]), (j, i, [0.0, weight])]).collect();
        // Both halves of a pair are beside each other, and their order does not matter.
        all.sort_unstable_by_key(|(i, j, _)| (*i, *j));
        let mut own = Self { begin: vec![0], ..Self::default() };
        for pair in all.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            own.begin.resize(pair[0].0 as usize + 1, own.row.len());
            let both = pair.iter().fold([0.0; 2], |sum, (.., w)| [sum[0] + w[0], sum[1] + w[1]]);
            own.row.push(pair[0].1);
            own.weight.push(union(both[0], both[1]));
        }
        own.begin.resize(rows + 1, own.row.len());
        own
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.begin.len() - 1
    }

    /// The neighbours of a row in rising order, and their weights.
    pub fn of(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let place = self.begin[row]..self.begin[row + 1];
        self.row[place.clone()].iter().map(|j| *j as usize).zip(self.weight[place].iter().copied())
    }

    /// The greatest weight; 0 of no pairs.
    pub fn most(&self) -> f64 {
        self.weight.iter().copied().fold(0.0, f64::max)
    }

    /// Whether there is a way from every row to every other one.
    pub fn is_connected(&self) -> bool {
        let mut seen = vec![false; self.rows()];
        let (mut open, mut count) = (vec![0], 1);
        seen[0] = true;
        while let Some(row) = open.pop() {
            for (other, weight) in self.of(row) {
                if weight > 0.0 && !std::mem::replace(&mut seen[other], true) {
                    open.push(other);
                    count += 1;
                }
            }
        }
        count == seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_make_one_weight() {
        let edges = [(0, 1, 0.5), (1, 0, 0.5), (3, 1, 0.25), (1, 3, 0.0)];
        let own = Graph::symmetric(5, edges.into_iter(), |a, b| a + b - a * b);
        let of = |row| own.of(row).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec![(1, 0.75)], vec![(0, 0.75), (3, 0.25)]));
        assert_eq!((of(2), of(3), of(4)), (vec![], vec![(1, 0.25)], vec![]));
        assert_eq!((own.rows(), own.most()), (5, 0.75));
        assert!(!own.is_connected());
        let line = (0..4).map(|i| (i, i + 1, 1.0));
        assert!(Graph::symmetric(5, line, f64::max).is_connected());
    }
}
