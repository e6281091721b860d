//! An agent that learns in an environment, as a task.

use crate::demand_plots;
use crate::demonstrations;
use crate::described::{self, Described};
use crate::duel;
use crate::eval::{Candidate, Counted, Scores, save_episodes};
use crate::market::elasticities;
use crate::plan::Plan;
use crate::task::{Common, Task, Verdict};
use agon::run::Run;
use agon::{Failure, Outcome};
use agon_agents::Device;
use agon_agents::evaluate::mean_ci95;
use agon_agents::train::{Part, Training};
use agon_core::Metric;
use agon_core::event::{Chart, UPPER_BOUND};
use agon_core::metric::Goal;
use agon_core::plot::Plot;
use serde_json::{Value, json};

/// A mean return as the metric that it is.
fn mean_return(mean: f64, ci95: Option<f64>, episodes: usize) -> Metric {
    Metric {
        name: Metric::MEAN_RETURN.into(),
        value: mean,
        interval: ci95.map(|half| [mean - half, mean + half]),
        ci95,
        goal: Goal::Highest,
        over: (episodes as u64, "episodes".into()),
    }
}

impl Task for Plan {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn device(&self, asked: Device) -> Device {
        self.agent.device(asked)
    }

    fn provenance(&self) -> (&'static str, Value) {
        ("environment", json!({"id": self.env.id, "version": self.env.version}))
    }

    fn files(&self) -> Outcome<Vec<(&'static str, Vec<u8>)>> {
        let fitted = self.report.iter().map(|report| ("fit.json", format!("{:#}\n", report.json).into_bytes()));
        let mut files: Vec<_> = fitted.collect();
        let table = self.report.as_ref().and_then(|report| elasticities::csv(&report.json));
        files.extend(table.map(|table| ("elasticities.csv", table.into_bytes())));
        for (key, copy) in self.env.files {
            let content = self.env.file(&self.env_settings, key);
            files.push((copy, content.map_err(|e| Failure::Input(e.to_string()))?));
        }
        files.extend(self.features.as_ref().map(|features| (described::COPY, features.file())));
        if self.agent.learns_from_episodes() {
            files.push((demonstrations::COPY, self.demonstrations()?.text.clone().into_bytes()));
        }
        Ok(files)
    }

    fn features(&self) -> Option<&Described> {
        self.features.as_ref()
    }

    fn remarks(&self) -> Vec<String> {
        Plan::remarks(self)
    }

    fn tell(&self) {
        self.tell_fit();
        self.features.iter().for_each(|features| agon::tell!("{features}"));
    }

    fn start(&self, device: Device) -> Outcome<Box<dyn Training>> {
        Plan::start(self, device)
    }

    fn chart(&self, training: &dyn Training) -> Chart {
        let scalars = training.task_scalars();
        match () {
            () if duel::applies(self) => Chart::Evaluations,
            () if !scalars.is_empty() => Chart::Scalars(scalars),
            () => Chart::Returns,
        }
    }

    fn can_be_evaluated(&self, training: &dyn Training) -> Outcome {
        Candidate::of(self, training).map(drop)
    }

    fn evaluate(&self, training: &dyn Training, run: &Run) -> Outcome<Option<Vec<Metric>>> {
        let (step, eval) = (training.step(), &self.eval);
        let mut candidate = Candidate::of(self, training)?;
        let meetings = candidate.meet(self, eval.episodes, eval.seed, eval.record, &mut |_| {});
        // Networks that were asked one by one told this thread to work alone.
        agon_agents::set_threads(self.common.train.threads);
        let meetings = match meetings {
            Err(Failure::Interrupted(_)) => return Ok(None),
            other => other?,
        };
        let returns: Vec<f64> = meetings.iter().flat_map(|(_, e)| e.returns.iter().copied()).collect();
        let (mean, ci95) = mean_ci95(&returns);
        let actor = format!("{} at step {step}", self.agent.kind);
        save_episodes(run, self, meetings, eval.seed, &actor, &format!("{step:012}"))?;
        let held_out = training.examine(Part::Validation, eval.seed).into_iter().next();
        let mut metrics = vec![mean_return(mean, ci95, returns.len())];
        metrics.extend(held_out.into_iter().flat_map(|own| own.metrics));
        Ok(Some(metrics))
    }

    fn plots(&self) -> Vec<Plot> {
        self.report.as_ref().map_or_else(Vec::new, |report| demand_plots::of(report, &self.env_settings))
    }

    fn levels(&self) -> Outcome<Option<Vec<(String, f64)>>> {
        let mut levels = Vec::new();
        if duel::applies(self) {
            return Ok(Some(levels));
        }
        // Where training begins at random there is no need of a line for it.
        for name in self.eval.baselines.iter().filter(|name| *name != "random") {
            let eval = &self.eval;
            let meetings =
                Candidate::player(self, name, eval.seed)?.meet(self, eval.episodes, eval.seed, 0, &mut |_| {});
            let meetings = match meetings {
                Err(Failure::Interrupted(_)) => return Ok(None),
                other => other?,
            };
            let returns: Vec<f64> = meetings.iter().flat_map(|(_, e)| e.returns.iter().copied()).collect();
            levels.push((name.clone(), mean_ci95(&returns).0));
        }
        let env = self.eval_env(1)?;
        if env.optimum().is_none() {
            levels.extend(env.bound().map(|bound| (UPPER_BOUND.to_owned(), bound)));
        }
        Ok(Some(levels))
    }

    fn final_evaluation(
        &self,
        training: &dyn Training,
        run: &Run,
        tell: &mut dyn FnMut(String),
    ) -> Outcome<Box<dyn Verdict>> {
        let eval = &self.eval;
        let mut candidate = Candidate::of(self, training)?;
        let mut scores = candidate.compare(self, self.agent.kind, eval.final_episodes, eval.seed, &mut |_| {}, tell)?;
        let held_out = training.examine(Part::Test, eval.seed).into_iter().flat_map(|own| own.metrics);
        scores.counted.extend(held_out.map(|metric| Counted {
            name: format!("{} of test {}", metric.name.replace('_', " "), metric.over.1),
            mean: metric.value,
            ci95: metric.half(),
        }));
        if eval.record > 0 {
            let recorded = candidate.meet(self, eval.record, eval.seed, eval.record, &mut |_| {})?;
            let actor = format!("{} at step {}", self.agent.kind, training.step());
            save_episodes(run, self, recorded, eval.seed, &actor, "final")?;
        }
        Ok(Box::new(scores))
    }
}

impl Verdict for Scores {
    fn json(&self) -> Value {
        Scores::json(self)
    }

    fn table(&self) -> String {
        Scores::table(self)
    }
}
