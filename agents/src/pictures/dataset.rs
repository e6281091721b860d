//! Pictures with their classes, divided into parts: what a model is trained and tested on.

use super::Pictures;
use crate::agent::AgentError;
use crate::data::report::Report;
use crate::data::split::{self, Split};
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use std::collections::{BTreeMap, HashMap};

agon_core::settings! {
    /// Pictures for supervised training.
    pub struct PictureSettings {
        /// A folder with a folder of PNG or JPEG files for each class, `x.npy` with `y.npy` beside it, or an IDX file with its
        /// labels beside it; looked for beside the scenario, then among what `make data` fetched.
        files: String = String::new();
        /// The side that pictures are resized to; if left out their own where all have the same, up to 96, else 64.
        side: Option<usize> = None, in [4.0, 512.0];
        /// The share of the pictures that probabilities are calibrated on.
        validation: f64 = 0.15, in [0.01, 0.8];
        /// The share of the pictures that the result is judged on, where the files have no test part of their own.
        test: f64 = 0.15, in [0.01, 0.8];
        /// The seed of the division into parts.
        seed: u64 = 1, in [0.0, 9e18];
        /// Labels of each class that are kept in the training part, the others being forgotten: what so few can teach.
        labels: Option<usize> = None, in [1.0, 1e9];
        /// A CSV file with columns `picture` and `class`: classes of pictures that have none (`agon label` writes it). They
        /// are for training alone.
        labels_from: Option<String> = None;
    }
}

/// Which part a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// The files do not say.
    Any,
    /// Training.
    Train,
    /// Validation.
    Validation,
    /// Test.
    Test,
    /// Training, whatever is drawn for the others.
    Labelled,
}

/// Pictures as they were read.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// Where from, as people know it.
    pub file: String,
    /// The pictures.
    pub pictures: Pictures,
    /// A class each; none where it is not known.
    pub labels: Vec<Option<String>>,
    /// The file or the number of each.
    pub names: Vec<String>,
    /// The part of each.
    pub parts: Vec<Given>,
    /// What was odd about the files, and what was done.
    pub findings: Vec<(String, String)>,
}

/// Pictures with their classes, divided into parts.
#[derive(Clone, Debug, Default)]
pub struct PictureSet {
    /// All pictures.
    pub pictures: Pictures,
    /// The classes in the order of their numbers.
    pub classes: Vec<String>,
    /// The number of each picture's class; none where it is not known.
    pub y: Vec<Option<u32>>,
    /// The pictures with a class, of each part.
    pub split: Split,
    /// The pictures without one that training may use.
    pub unlabelled: Vec<usize>,
    /// Pictures that are equal have the same number.
    pub units: Vec<u32>,
    /// What was found.
    pub report: Report,
}

/// Classes at most.
const MOST_CLASSES: usize = 1000;

impl PictureSet {
    /// Understands pictures.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where shares cannot be, [`AgentError::Data`] where nothing can be learned.
    pub fn new(raw: Raw, settings: &PictureSettings) -> Result<Self, AgentError> {
        let data = |why: String| Err(AgentError::Data(why));
        if settings.validation + settings.test >= 0.95 {
            return Err(Issue::value("test", "with validation it leaves less than a twentieth to learn from").into());
        }
        let (classes, y) = numbered(&raw.labels);
        if classes.len() < 2 {
            let there = classes.first().map_or("no picture has a class".into(), |class| {
                format!("all pictures with a class are of the class `{class}`")
            });
            return data(format!("{there}: there is nothing to tell apart"));
        }
        if classes.len() > MOST_CLASSES {
            return data(format!("there are {} classes, and {MOST_CLASSES} at most can be learned", classes.len()));
        }
        let [height, width, channels] = raw.pictures.size;
        let colour = if channels == 1 { "grey" } else { "colour" };
        let mut report = Report {
            file: raw.file,
            rows: y.len(),
            target: "class".into(),
            task: if classes.len() == 2 { "binary" } else { "multiclass" }.into(),
            pictures: Some(format!("{height} × {width}, {colour}")),
            ..Report::default()
        };
        raw.findings.into_iter().for_each(|(what, done)| report.find(None, what, done));
        let mut counts = vec![0usize; classes.len()];
        y.iter().flatten().for_each(|class| counts[*class as usize] += 1);
        if let Some(k) = counts.iter().position(|n| *n == 1) {
            let one = y.iter().position(|class| *class == Some(k as u32)).unwrap_or(0);
            return data(format!(
                "the class `{}` has a single picture ({}): it cannot be both learned and tested; leave it out, or join the \
                 class with another",
                classes[k], raw.names[one]
            ));
        }
        let units = equal(&raw.pictures);
        look_at_copies(&units, &y, &raw.names, &mut report);
        let (least, most) = (counts.iter().min().unwrap_or(&0), counts.iter().max().unwrap_or(&0));
        if 20 * least < counts.iter().sum() && 5 * least < *most {
            let k = counts.iter().position(|n| n == least).unwrap_or(0);
            let what =
                format!("classes are imbalanced: `{}` has {least} pictures, the largest class {most}", classes[k]);
            let done = "kept as they are; model.class_weights = \"balanced\" gives them equal weight";
            report.find(None, what, done);
        }
        report.classes = classes.iter().cloned().zip(counts).collect();
        let mut set = Self { pictures: raw.pictures, classes, y, units, report, ..Self::default() };
        set.divide(&raw.parts, settings)?;
        Ok(set)
    }

    fn divide(&mut self, given: &[Given], settings: &PictureSettings) -> Result<(), AgentError> {
        let of = |part: Given| move |i: &usize| given[*i] == part;
        let known = || (0..self.y.len()).filter(|i| self.y[*i].is_some());
        let test: Vec<usize> = known().filter(of(Given::Test)).collect();
        let validation: Vec<usize> = known().filter(of(Given::Validation)).collect();
        let rest: Vec<usize> = known().filter(|i| matches!(given[*i], Given::Any | Given::Train)).collect();
        let share = |there: &[usize], share: f64| if there.is_empty() { share } else { 0.0 };
        let shares = [share(&validation, settings.validation), share(&test, settings.test)];
        let [units, class] = [&self.units, &self.y.iter().map(|y| y.unwrap_or(0)).collect()]
            .map(|all: &Vec<u32>| rest.iter().map(|i| all[*i]).collect::<Vec<_>>());
        let drawn = split::stratified(&units, &class, shares, settings.seed);
        let back = |part: Vec<usize>| part.into_iter().map(|i| rest[i]).collect::<Vec<_>>();
        let mut said = vec![format!("stratified by class, seed {}", settings.seed)];
        let mut pick = |there: Vec<usize>, drawn: Vec<usize>, name: &str| {
            if there.is_empty() {
                return back(drawn);
            }
            said.push(format!("the {name} part as the files have it"));
            there
        };
        let (validation, test) = (pick(validation, drawn.validation, "validation"), pick(test, drawn.test, "test"));
        let mut train = back(drawn.train);
        train.extend(known().filter(of(Given::Labelled)));
        train.sort_unstable();
        self.unlabelled = (0..self.y.len()).filter(|i| self.y[*i].is_none() && given[*i] != Given::Test).collect();
        let lost = self.y.iter().filter(|y| y.is_none()).count() - self.unlabelled.len();
        if lost > 0 {
            self.report.find(None, format!("{lost} test pictures have no class"), "left out");
        }
        if let Some(kept) = settings.labels {
            let forgotten = self.forget(&mut train, kept, settings.seed);
            said.push(format!("{kept} labels of each class kept, {forgotten} forgotten"));
        }
        if !self.unlabelled.is_empty() {
            let what = format!("{} pictures have no class", self.unlabelled.len());
            self.report.find(None, what, "learned from by model.unlabelled");
        }
        self.report.split = said.join("; ");
        self.report.parts = [&train, &validation, &test].map(Vec::len);
        for (name, part, least) in [("training", &train, 2), ("validation", &validation, 1), ("test", &test, 1)] {
            if part.len() < least {
                return Err(AgentError::Data(format!(
                    "the {name} part would have {} of {} pictures: too few; use more pictures, or change the shares \
                     pictures.validation and pictures.test",
                    part.len(),
                    self.y.len()
                )));
            }
        }
        for (k, name) in self.classes.iter().enumerate() {
            let has = |part: &[usize]| part.iter().any(|i| self.y[*i] == Some(k as u32));
            if !has(&train) {
                return Err(AgentError::Data(format!("no picture of the class `{name}` is in the training part")));
            }
            if !has(&test) {
                let what = format!("no picture of the class `{name}` is in the test part");
                self.report.warn(None, what, "kept; the test says nothing about that class");
            }
        }
        let learned: HashMap<u32, ()> = train.iter().chain(&self.unlabelled).map(|i| (self.units[*i], ())).collect();
        let seen = test.iter().filter(|i| learned.contains_key(&self.units[**i])).count();
        if seen > 0 {
            let what = format!("{seen} pictures of the test part are in the training part too");
            self.report.warn(None, what, "kept, as the files have them; the result is a little too good");
        }
        self.split = Split { train, validation, test };
        Ok(())
    }

    /// Keeps so many labels of each class, drawn by the seed, and returns how many were forgotten.
    fn forget(&mut self, train: &mut Vec<usize>, kept: usize, seed: u64) -> usize {
        let (before, mut all) = (train.len(), std::mem::take(train));
        let mut left = vec![kept; self.classes.len()];
        Rng::new(seed, Stream::Shuffle, u32::MAX).shuffle(&mut all);
        for i in all {
            let class = self.y[i].unwrap_or(0) as usize;
            if left[class] > 0 {
                left[class] -= 1;
                train.push(i);
            } else {
                self.unlabelled.push(i);
            }
        }
        train.sort_unstable();
        self.unlabelled.sort_unstable();
        before - train.len()
    }
}

/// Classes in order, 10 behind 9, and the number of each label.
fn numbered(labels: &[Option<String>]) -> (Vec<String>, Vec<Option<u32>>) {
    let all: BTreeMap<&str, ()> = labels.iter().flatten().map(|label| (label.as_str(), ())).collect();
    let mut classes: Vec<&str> = all.into_keys().collect();
    if classes.iter().all(|class| class.parse::<f64>().is_ok_and(f64::is_finite)) {
        let value = |class: &str| class.parse::<f64>().unwrap_or(0.0);
        classes.sort_by(|a, b| value(a).total_cmp(&value(b)));
    }
    let place: HashMap<&str, u32> = classes.iter().copied().zip(0..).collect();
    let y = labels.iter().map(|label| label.as_deref().map(|label| place[label])).collect();
    (classes.into_iter().map(String::from).collect(), y)
}

/// For every picture the number of the first one that is equal.
fn equal(pictures: &Pictures) -> Vec<u32> {
    let mut first: HashMap<&[u8], u32> = HashMap::with_capacity(pictures.len());
    (0..pictures.len()).map(|i| *first.entry(pictures.picture(i)).or_insert(i as u32)).collect()
}

fn look_at_copies(units: &[u32], y: &[Option<u32>], names: &[String], report: &mut Report) {
    let copies: Vec<usize> = (0..units.len()).filter(|i| units[*i] as usize != *i).collect();
    if copies.is_empty() {
        return;
    }
    let (i, first) = (copies[0], units[copies[0]] as usize);
    let what = format!("{} pictures repeat another ({} is {})", copies.len(), names[i], names[first]);
    report.find(None, what, "kept; where parts are drawn, equal pictures are always in the same one");
    let torn = |i: &&usize| {
        let other = y[units[**i] as usize];
        y[**i].is_some() && other.is_some() && y[**i] != other
    };
    let torn: Vec<&usize> = copies.iter().filter(torn).collect();
    if let Some(i) = torn.first() {
        let first = units[**i] as usize;
        let what =
            format!("{} pictures are equal to one of another class ({} and {})", torn.len(), names[**i], names[first]);
        report.warn(None, what, "kept; no model can be right about all of them");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures of 4 × 4, of classes 0 to 10 by turns, no two equal.
    fn raw(n: usize) -> Raw {
        let bytes = (0..n).flat_map(|i| [(i % 256) as u8, (i / 256) as u8].into_iter().cycle().take(16)).collect();
        Raw {
            file: "mine".into(),
            pictures: Pictures { bytes, size: [4, 4, 1] },
            labels: (0..n).map(|i| Some((i % 11).to_string())).collect(),
            names: (0..n).map(|i| format!("p{i}.png")).collect(),
            parts: vec![Given::Any; n],
            findings: vec![("what".into(), "done".into())],
        }
    }

    fn why(raw: Raw, settings: &PictureSettings) -> String {
        PictureSet::new(raw, settings).unwrap_err().to_string()
    }

    #[test]
    fn parts_and_classes_are_as_they_should_be() {
        let set = PictureSet::new(raw(1100), &PictureSettings::default()).unwrap();
        assert_eq!(set.report.parts, [770, 165, 165]);
        assert_eq!((set.classes[9].as_str(), set.classes[10].as_str()), ("9", "10"), "10 comes after 9");
        let count = |part: &[usize], k| part.iter().filter(|i| set.y[**i] == Some(k)).count();
        assert!((0..11).all(|k| count(&set.split.test, k) == 15 && count(&set.split.train, k) == 70));
        let mut own = raw(1100);
        (0..1100).for_each(|i| own.parts[i] = if i < 900 { Given::Train } else { Given::Test });
        let own = PictureSet::new(own, &PictureSettings::default()).unwrap();
        assert_eq!(own.split.test, (900..1100).collect::<Vec<_>>());
        assert!(own.split.validation.iter().all(|i| *i < 900) && own.report.parts[0] + own.report.parts[1] == 900);
        assert!(own.report.split.contains("the test part as the files have it"), "{}", own.report.split);
    }

    #[test]
    fn forgotten_labels_are_learned_from_without_them() {
        let settings = PictureSettings { labels: Some(10), ..PictureSettings::default() };
        let mut some = raw(1100);
        some.labels[5] = None;
        let set = PictureSet::new(some, &settings).unwrap();
        assert_eq!((set.split.train.len(), set.report.parts[0]), (110, 110));
        assert!(set.unlabelled.contains(&5) && set.unlabelled.len() > 600);
        let elsewhere: Vec<usize> = set.split.validation.iter().chain(&set.split.test).copied().collect();
        assert!(set.unlabelled.iter().all(|i| !elsewhere.contains(i) && !set.split.train.contains(i)));
    }

    #[test]
    fn copies_are_told_and_stay_together() {
        let mut copied = raw(330);
        let first = copied.pictures.picture(0).to_vec();
        for i in [50, 100, 150] {
            copied.pictures.bytes[i * 16..][..16].copy_from_slice(&first);
            copied.labels[i] = Some("0".into());
        }
        copied.labels[150] = Some("7".into());
        let set = PictureSet::new(copied, &PictureSettings::default()).unwrap();
        let all = set.report.lines().join("\n");
        assert!(all.contains("3 pictures repeat another (p50.png is p0.png)"), "{all}");
        assert!(all.contains("WARNING: 1 pictures are equal to one of another class (p150.png and p0.png)"), "{all}");
        let parts = [&set.split.train, &set.split.validation, &set.split.test];
        let places: Vec<usize> =
            [0, 50, 100].iter().map(|i| parts.iter().position(|part| part.contains(i)).unwrap()).collect();
        assert!(places[0] == places[1] && places[1] == places[2]);
    }

    #[test]
    fn what_cannot_be_learned_is_refused() {
        let settings = PictureSettings::default();
        let mut single = raw(110);
        single.labels[7] = Some("rare".into());
        assert!(why(single, &settings).contains("`rare` has a single picture (p7.png)"));
        let mut same = raw(110);
        same.labels.fill(Some("one".into()));
        assert!(why(same, &settings).contains("all pictures with a class are of the class `one`"));
        let mut none = raw(110);
        none.labels.fill(None);
        assert!(why(none, &settings).contains("no picture has a class"));
        assert!(why(raw(22), &settings).contains("too few"));
        let shares = PictureSettings { validation: 0.5, test: 0.5, ..settings };
        assert!(why(raw(110), &shares).contains("less than a twentieth"));
    }
}
