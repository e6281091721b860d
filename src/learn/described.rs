//! `[features]`: what observations become before agents see them, by a model that was trained without a target.

use crate::checkpoints::{self, Target};
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::features::Features;
use agon_agents::registry::{Model, find_model};
use agon_agents::unsupervised::reader::Reader;
use agon_core::VecEnv;
use agon_core::settings::{Issue, Settings};
use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

agon_core::settings! {
    /// What observations become before agents see them.
    pub struct FeatureSettings {
        /// A run of autoencoder, vae or pca that was trained on observations, or the `features.json` of another run.
        from: String = String::new();
        /// Whether the observation's own numbers stay, in front of the features.
        beside: bool = false;
        /// The checksum of a run's own file of them.
        checksum: String = String::new();
    }
}

/// The name of their copy in a run's folder.
pub const COPY: &str = "features.json";

/// Features that take the place of observations.
#[derive(Clone)]
pub struct Described {
    features: Arc<Features>,
    settings: FeatureSettings,
}

/// What a scenario in `folder` says of features, if it does.
pub fn read(source: &Source, folder: &Path) -> Outcome<Option<Described>> {
    if !source.table.contains_key("features") {
        return Ok(None);
    }
    let within = |issues: Vec<Issue>| -> Failure {
        source.wrong(&issues.into_iter().map(|issue| issue.within("features")).collect::<Vec<_>>())
    };
    let settings = FeatureSettings::read(&source.section("features")?).map_err(within)?;
    let wrong = |why: String| within(vec![Issue::value("from", why)]);
    if settings.from.is_empty() {
        return Err(within(vec![Issue::key("from", "names the run of an autoencoder, vae or pca")]));
    }
    let places = [folder.join(&settings.from), settings.from.clone().into()];
    let Some(path) = places.iter().find(|path| path.exists()) else {
        return Err(wrong(format!("no run or file is at {}", settings.from)));
    };
    // A run's own file alone has a known checksum.
    let sum = if settings.from == COPY { settings.checksum.as_str() } else { "" };
    let features = if path.is_dir() { of_run(path) } else { of_file(path, sum) }.map_err(wrong)?;
    Ok(Some(Described { features: Arc::new(features), settings }))
}

fn of_file(path: &Path, sum: &str) -> Result<Features, String> {
    let text = agon::text::read(path).map_err(|e| e.to_string())?;
    if !sum.is_empty() && checksum(text.as_bytes()) != sum {
        return Err(format!("{} is not what the run began with: put it back", path.display()));
    }
    let wrong = |why: String| format!("{}: not features that a run saved: {why}", path.display());
    let features: Features = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    if features.is_sound() { Ok(features) } else { Err(wrong("its layers do not fit each other".into())) }
}

fn of_run(path: &Path) -> Result<Features, String> {
    let what = path.to_string_lossy();
    let told = |e: Failure| e.to_string();
    let Target::Checkpoint { scenario, .. } = checkpoints::locate(&what).map_err(told)? else {
        return Err(format!("{what} is no run"));
    };
    let source = Source::read(&scenario, &[]).map_err(told)?;
    let mut settings = source.section("model").map_err(told)?;
    let kind = settings.remove("kind").and_then(|kind| kind.as_str().map(String::from)).unwrap_or_default();
    let family = find_model(&kind).ok().and_then(Model::unsupervised);
    let Some(family) = family else {
        return Err(format!("{what} is no run of an autoencoder, vae or pca (agon train --data EPISODES --model …)"));
    };
    let (_, saved, _) = checkpoints::read(&what).map_err(told)?;
    let reader = Reader::load(family, &settings, &saved).map_err(|e| e.to_string())?;
    reader.features().map_err(|e| format!("{what}: {e}"))
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(bytes))
}

/// Equal where observations are: it does not matter which file features came from.
impl PartialEq for Described {
    fn eq(&self, other: &Self) -> bool {
        self.features == other.features && self.settings.beside == other.settings.beside
    }
}

impl Described {
    /// An environment as it is observed through them.
    ///
    /// # Errors
    /// Its observations have none of the numbers that are read.
    pub fn around(&self, env: Box<dyn VecEnv>) -> Outcome<Box<dyn VecEnv>> {
        let around = self.features.around(env, self.settings.beside);
        around.map_err(|e| Failure::Input(format!("features.from: {e}")))
    }

    /// The file that a run keeps of them.
    pub fn file(&self) -> Vec<u8> {
        serde_json::to_vec(&*self.features).unwrap_or_default()
    }

    /// The table of a run's scenario, which names the run's own file.
    pub fn copied(&self) -> Map<String, Value> {
        FeatureSettings { from: COPY.into(), checksum: checksum(&self.file()), ..self.settings.clone() }.write()
    }
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.settings.beside { "beside" } else { "in the place of" };
        write!(f, "observations: {} features by {}, {how} their own numbers", self.features.len(), self.settings.from)
    }
}
