//! `agon agents`: what there is to learn with, agents and models of data; and the keys of a scenario that belong to neither agent nor environment.

use crate::data_task::DataEvalSettings;
use crate::described::FeatureSettings;
use crate::plan::EvalSettings;
use crate::price::mixed_logit::DemandSettings;
use crate::sales::FitSettings;
use crate::table_task::{ReportSettings, TableEvalSettings};
use crate::task::TrainSettings;
use agon::Outcome;
use agon::cli::List;
use agon::envs::{Item, list, parameters};
use agon::search::SearchSettings;
use agon::tournament::plan::TournamentSettings;
use agon_agents::bandit::decisions::LogSettings;
use agon_agents::data::dataset::DataSettings;
use agon_agents::pictures::dataset::PictureSettings;
use agon_agents::registry::{AGENTS, MODELS};
use agon_agents::supervised::regime::RegimeSettings;
use agon_core::settings::Settings;
use serde_json::json;

pub fn run(args: &List) -> Outcome {
    let item = |a: &agon_agents::registry::Entry| Item {
        name: a.kind,
        about: a.about,
        verified: a.verified,
        settings: a.declared(),
        more: Vec::new(),
        json: json!({}),
    };
    let model = |m: &agon_agents::registry::Model| Item {
        name: m.kind,
        about: m.about,
        verified: m.verified,
        settings: m.declared(),
        more: vec!["a model of data: [model] kind, in a scenario without [env] and [agent]".into()],
        json: json!({"of": "data"}),
    };
    list(AGENTS.iter().map(item).chain(MODELS.iter().map(model)).collect(), args, "agent")
}

/// What the other tables of a scenario can say.
pub fn keys(as_json: bool) -> Outcome {
    let tables = [
        ("train", TrainSettings::declared()),
        ("train, beside [data]", RegimeSettings::declared()),
        ("eval", EvalSettings::declared()),
        ("features, beside [env] and [agent]", FeatureSettings::declared()),
        ("data", DataSettings::declared()),
        ("pictures", PictureSettings::declared()),
        ("log", LogSettings::declared()),
        ("eval, beside [data], [pictures] and [log]", TableEvalSettings::declared()),
        ("eval, beside [model] and [fit]", DataEvalSettings::declared()),
        ("report, beside [data]", ReportSettings::declared()),
        ("search", SearchSettings::declared()),
        ("fit", FitSettings::declared()),
        ("demand, of `agon price mixed-logit`", DemandSettings::declared()),
        ("tournament", TournamentSettings::declared()),
    ];
    if as_json {
        let one = |s: &agon_core::settings::Declared| json!({"name": s.name, "kind": s.kind, "default": s.default, "range": s.range, "about": s.about});
        let all = tables.iter().map(|(table, keys)| ((*table).to_owned(), keys.iter().map(one).collect()));
        agon::say!("{}", serde_json::Value::Object(all.collect()));
        return Ok(());
    }
    for (table, keys) in tables {
        agon::say!("[{table}]");
        parameters(&keys);
        agon::say!("");
    }
    agon::say!(
        "[eval.env] changes settings of [env] for evaluations. [entrants] names a tournament's players. \
         [search.space] names the settings that are varied, and their values."
    );
    Ok(())
}
