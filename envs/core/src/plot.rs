//! A picture of what a run has learned of its data, for any front end to draw; independent of drawing libraries, and small
//! enough to be sent while it trains.

use crate::graph::{Graph, around, widened};
use serde::{Deserialize, Serialize};

/// Points of a picture at most: whoever has more sends a sample.
pub const MOST_POINTS: usize = 2000;
/// Groups that are told apart at most; the smaller ones are together in the last.
pub const MOST_GROUPS: usize = 10;

/// A picture with its title.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    /// What is to be seen.
    pub title: String,
    /// What it shows.
    pub body: Body,
}

/// What a picture shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Body {
    /// Points in a plane, such as rows of a table.
    Points(Points),
    /// How often each class was taken for each class.
    Confusion {
        /// The names of the classes.
        classes: Vec<String>,
        /// `[true class][predicted class]`
        counts: Vec<Vec<u64>>,
    },
    /// Words and numbers in rows, such as what was tried so far, the best first.
    #[serde(alias = "leaderboard")]
    Table(Table),
    /// Such tables, one at a time: of a product each, say.
    Tables {
        /// Each with a name of its own.
        tables: Vec<Table>,
    },
    /// Curves, one graph at a time.
    Graphs {
        /// Each with a name of its own.
        graphs: Vec<Graph>,
    },
}

/// A table; its first column is of words, the others are of numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What it is of, where there are several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The names of the columns.
    pub head: Vec<String>,
    /// A cell a column.
    pub rows: Vec<Vec<String>>,
}

impl Plot {
    /// The names of what it shows one at a time; none where it shows everything at once.
    pub fn parts(&self) -> Vec<&str> {
        match &self.body {
            Body::Graphs { graphs } => graphs.iter().map(|graph| graph.name.as_str()).collect(),
            Body::Tables { tables } => tables.iter().map(|table| table.name.as_str()).collect(),
            Body::Points(_) | Body::Confusion { .. } | Body::Table(_) => Vec::new(),
        }
    }
}

/// Puts new pictures in the place of those with their titles, or behind all others.
pub fn renew(pictures: &mut Vec<Plot>, new: &[Plot]) {
    for plot in new {
        match pictures.iter_mut().find(|known| known.title == plot.title) {
            Some(known) => known.clone_from(plot),
            None => pictures.push(plot.clone()),
        }
    }
}

/// Points in a plane, in groups or not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Points {
    /// What the axes are; empty where they have no meaning of their own.
    pub axes: [String; 2],
    /// x and y; at most [`MOST_POINTS`], all finite.
    pub at: Vec<[f32; 2]>,
    /// The names of the groups, at most [`MOST_GROUPS`]; empty where there are none.
    pub groups: Vec<String>,
    /// The group of each point; empty where there are none.
    pub group: Vec<u16>,
    /// Whether x and y have one unit, and the points on the diagonal are those that are right.
    pub diagonal: bool,
}

impl Points {
    /// The same in groups: `names` of all, and the one of each point. Beyond [`MOST_GROUPS`] the groups with the fewest
    /// points become one.
    pub fn in_groups(mut self, names: &[String], of: &[u32]) -> Self {
        let mut counts: Vec<(usize, usize)> = names.iter().enumerate().map(|(g, _)| (0, g)).collect();
        of.iter().for_each(|g| counts[*g as usize].0 += 1);
        counts.retain(|(count, _)| *count > 0);
        let mut shown: Vec<usize> = counts.iter().map(|(_, g)| *g).collect();
        if counts.len() > MOST_GROUPS {
            counts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            shown = counts[..MOST_GROUPS - 1].iter().map(|(_, g)| *g).collect();
            shown.sort_unstable();
        }
        let place = |g: &u32| shown.iter().position(|s| *s == *g as usize).unwrap_or(shown.len()) as u16;
        self.group = of.iter().map(place).collect();
        self.groups = shown.iter().map(|g| names[*g].clone()).collect();
        if counts.len() > MOST_GROUPS {
            self.groups.push(format!("{} others", counts.len() + 1 - MOST_GROUPS));
        }
        self
    }

    /// Left, right, bottom, top of all points; both axes alike where they have one unit.
    pub fn bounds(&self) -> [f64; 4] {
        let mut ends = around(self.at.iter().copied());
        if self.diagonal {
            let (low, high) = (ends[0].min(ends[2]), ends[1].max(ends[3]));
            ends = [low, high, low, high];
        }
        widened(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_groups_are_one() {
        let names: Vec<String> = (0..14).map(|g| format!("g{g}")).collect();
        // Group g has g points; group 0 has none and is not told.
        let of: Vec<u32> = (0..14u32).flat_map(|g| vec![g; g as usize]).collect();
        let points = Points { at: vec![[0.0; 2]; of.len()], ..Points::default() }.in_groups(&names, &of);
        assert_eq!(points.groups.len(), MOST_GROUPS);
        assert_eq!((points.groups[0].as_str(), points.groups[9].as_str()), ("g5", "4 others"));
        let count = |g: u16| points.group.iter().filter(|own| **own == g).count();
        assert_eq!((count(0), count(8), count(9)), (5, 13, 1 + 2 + 3 + 4));
        let few = Points::default().in_groups(&names[..3], &[2, 1, 2]);
        assert_eq!((few.groups, few.group), (vec!["g1".to_owned(), "g2".into()], vec![1, 0, 1]));
    }

    #[test]
    fn bounds_hold_all_points() {
        let points = Points { at: vec![[1.0, 5.0], [3.0, 5.0]], ..Points::default() };
        let [left, right, bottom, top] = points.bounds();
        assert!(left < 1.0 && right > 3.0 && bottom < 5.0 && top > 5.0);
        let [left, right, bottom, top] = Points { diagonal: true, ..points }.bounds();
        assert_eq!([left, right], [bottom, top]);
        assert!(Points::default().bounds().iter().all(|end| end.is_finite()));
    }

    /// What older versions wrote is still read.
    #[test]
    fn a_leaderboard_is_a_table() {
        let old = r#"{"title": "2 models", "body": {"kind": "leaderboard", "head": ["model"], "rows": [["linear"]]}}"#;
        let plot: Plot = serde_json::from_str(old).unwrap();
        let table = Table { head: vec!["model".into()], rows: vec![vec!["linear".into()]], ..Table::default() };
        assert_eq!(plot.body, Body::Table(table));
        let again = serde_json::to_string(&plot).unwrap();
        assert!(again.contains(r#""kind":"table""#), "{again}");
        assert_eq!(serde_json::from_str::<Plot>(&again).unwrap(), plot);
    }

    #[test]
    fn pictures_are_renewed_by_title() {
        let plot = |title: &str, rows: usize| {
            let table = Table { rows: vec![Vec::new(); rows], ..Table::default() };
            Plot { title: title.into(), body: Body::Table(table) }
        };
        let mut all = vec![plot("a", 1), plot("b", 1)];
        renew(&mut all, &[plot("b", 2), plot("c", 3)]);
        assert_eq!(all, [plot("a", 1), plot("b", 2), plot("c", 3)]);
    }
}
