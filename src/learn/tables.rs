//! What `agon eval` writes for other programs: the policy as a table of states and actions, and the mean of everything
//! counted, step by step.

use crate::plan::Plan;
use agon::cli;
use agon::{Failure, Outcome};
use agon_agents::evaluate::Seen;
use agon_core::spec::ActionSpec;
use agon_core::{Actions, Field, Observation, Spec};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The tables that were asked for.
pub struct Tables {
    spec: Spec,
    /// How often each agent's observation and action were met together.
    export: Option<(PathBuf, HashMap<(usize, Vec<u32>), u64>)>,
    path: Option<(PathBuf, Vec<Step>)>,
    measures: Vec<&'static str>,
}

/// Sums over the episodes that lasted so long.
struct Step {
    episodes: u64,
    sums: Vec<f64>,
}

/// Beyond so many lines nobody reads a table, and memory runs out.
const MOST: usize = 1_000_000;

impl Tables {
    /// Empty ones.
    pub fn new(args: &cli::Eval, plan: &Plan) -> Outcome<Self> {
        let env = plan.eval_env(1)?;
        let measures: Vec<&str> = env.measures().iter().map(|m| m.name).collect();
        if args.path.is_some() && measures.is_empty() {
            let message = format!("--path writes what an environment counts; {} counts nothing", plan.env.id);
            return Err(Failure::Input(message));
        }
        Ok(Self {
            spec: env.spec().clone(),
            export: args.export.clone().map(|file| (file, HashMap::new())),
            path: args.path.clone().map(|file| (file, Vec::new())),
            measures,
        })
    }

    /// Takes a step in.
    pub fn see(&mut self, seen: Seen<'_>) {
        if let Some((_, met)) = &mut self.export {
            let (obs_len, width) = (self.spec.obs_len(), self.spec.action.len());
            for (agent, obs) in seen.obs.chunks_exact(obs_len).enumerate() {
                let mut key: Vec<u32> = obs.iter().map(|x| x.to_bits()).collect();
                match seen.actions.part(agent * width, width) {
                    Actions::Discrete(a) => key.extend(a.iter().map(|a| (*a as f32).to_bits())),
                    Actions::Continuous(a) => key.extend(a.iter().map(|a| a.to_bits())),
                }
                let key = (agent, key);
                if met.len() < MOST || met.contains_key(&key) {
                    *met.entry(key).or_insert(0) += 1;
                }
            }
        }
        if let Some((_, steps)) = &mut self.path {
            let at = seen.step as usize;
            if at >= MOST {
                return; // refused where it is written
            }
            if steps.len() <= at {
                steps.resize_with(at + 1, || Step { episodes: 0, sums: vec![0.0; seen.measures.len()] });
            }
            steps[at].episodes += 1;
            steps[at].sums.iter_mut().zip(seen.measures).for_each(|(sum, x)| *sum += x);
        }
    }

    /// Writes them.
    pub fn write(&self) -> Outcome {
        if let Some((file, met)) = &self.export {
            if met.len() >= MOST {
                let message = format!("more than {MOST} different observations were met: too many for a table");
                return Err(Failure::Input(message));
            }
            let names = columns(&self.spec.observation);
            // Where there is one agent, nobody asks which it was.
            let several = self.spec.agents > 1;
            let agent = several.then(|| "agent".to_owned());
            let actions: Vec<String> = match &self.spec.action {
                ActionSpec::Continuous { fields } => fields.iter().map(|f| f.name.clone()).collect(),
                one => {
                    (0..one.len()).map(|k| if k == 0 { "action".into() } else { format!("action {}", k + 1) }).collect()
                }
            };
            let head: Vec<String> = agent.into_iter().chain(names).chain(actions).chain(["times met".into()]).collect();
            let value = |bits: &u32| f32::from_bits(*bits);
            let mut rows: Vec<(&(usize, Vec<u32>), &u64)> = met.iter().collect();
            rows.sort_by(|((agent, a), _), ((other, b), _)| {
                let order = a.iter().zip(b).map(|(x, y)| value(x).total_cmp(&value(y)));
                order.fold(agent.cmp(other), std::cmp::Ordering::then)
            });
            let label = |a: &u32| match &self.spec.action {
                ActionSpec::Discrete { labels } => labels[value(a) as usize].clone(),
                _ => value(a).to_string(),
            };
            let rows = rows.into_iter().map(|((agent, key), times)| {
                let (obs, action) = key.split_at(self.spec.obs_len());
                let agent = several.then(|| (agent + 1).to_string());
                let obs = cells(&self.spec.observation, &obs.iter().map(value).collect::<Vec<_>>());
                agent.into_iter().chain(obs).chain(action.iter().map(label)).chain([times.to_string()]).collect()
            });
            save(file, &head, rows)?;
        }
        if let Some((file, steps)) = &self.path {
            if steps.len() >= MOST {
                let message = format!("episodes have {MOST} steps or more: too many for a table");
                return Err(Failure::Input(message));
            }
            // What does not apply, as a rest of what has no end or a second seller where there is one, is no number.
            let applies = |k: &usize| steps.iter().any(|step| !step.sums[*k].is_nan());
            let columns: Vec<usize> = (0..self.measures.len()).filter(applies).collect();
            let names = columns.iter().map(|k| self.measures[*k].to_owned());
            let head: Vec<String> = ["step".into(), "episodes".into()].into_iter().chain(names).collect();
            let rows = steps.iter().enumerate().map(|(t, step)| {
                let means = columns.iter().map(|k| (step.sums[*k] / step.episodes as f64).to_string());
                [t.to_string(), step.episodes.to_string()].into_iter().chain(means).collect()
            });
            save(file, &head, rows)?;
        }
        Ok(())
    }
}

/// What the columns of an observation are called.
fn columns(observation: &Observation) -> Vec<String> {
    match observation {
        Observation::Discrete { .. } => vec!["observation".into()],
        Observation::Picture(picture) => picture.channels.clone(),
        Observation::Numbers(fields) => {
            let name = |field: &Field| match &field.whole {
                Some((_, unit)) => format!("{} [{unit}]", field.name),
                None => field.name.clone(),
            };
            fields.iter().map(name).collect()
        }
    }
}

/// An observation, a text a column: of a picture each channel, its rows apart by `/`, digits one beside the other.
fn cells(observation: &Observation, obs: &[f32]) -> Vec<String> {
    match observation {
        Observation::Discrete { labels, .. } => {
            vec![labels.get(obs[0] as usize).cloned().unwrap_or_else(|| obs[0].to_string())]
        }
        Observation::Picture(picture) => {
            let apart = if picture.high < 10 { "" } else { " " };
            let row = |row: &[f32]| row.iter().map(f32::to_string).collect::<Vec<_>>().join(apart);
            let channel = |channel: &[f32]| channel.chunks(picture.width).map(row).collect::<Vec<_>>().join("/");
            obs.chunks(picture.height * picture.width).map(channel).collect()
        }
        Observation::Numbers(fields) => obs.iter().zip(fields).map(|(x, field)| counted(*x, field)).collect(),
    }
}

/// An observed number as people count: not a share of all seats, but seats.
fn counted(x: f32, field: &Field) -> String {
    let Some((whole, _)) = &field.whole else { return x.to_string() };
    let units = f64::from(x) * whole;
    // The share has 24 bits.
    if (units - units.round()).abs() <= 2f64.powi(-24) * whole { units.round().to_string() } else { units.to_string() }
}

fn save(file: &Path, head: &[String], rows: impl Iterator<Item = Vec<String>>) -> Outcome {
    let failed = |e: csv::Error| Failure::Input(format!("{} cannot be written: {e}", file.display()));
    let mut out = csv::Writer::from_path(file).map_err(failed)?;
    out.write_record(head).map_err(failed)?;
    for row in rows {
        out.write_record(&row).map_err(failed)?;
    }
    out.flush().map_err(|e| Failure::write(file, &e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::Picture;

    #[test]
    fn every_kind_of_observation_has_columns() {
        let one = Observation::discrete(["left", "right"]);
        assert_eq!((columns(&one), cells(&one, &[1.0])), (vec!["observation".into()], vec!["right".into()]));
        let nameless = Observation::Discrete { n: 20, labels: Vec::new() };
        assert_eq!(cells(&nameless, &[12.0]), ["12"]);
        let picture = |high: u8| {
            let channels = vec!["ball".into(), "wall".into()];
            Observation::Picture(Picture { channels, height: 2, width: 3, high })
        };
        let digits = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0, 1.0];
        assert_eq!(cells(&picture(9), &digits), ["012/345", "678/901"]);
        let picture = picture(12);
        let obs = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0];
        assert_eq!(
            (columns(&picture), cells(&picture, &obs)),
            (vec!["ball".into(), "wall".into()], vec!["0 1 2/3 4 5".into(), "6 7 8/9 10 11".into()],)
        );
        let numbers = Observation::Numbers(vec![Field::new("x", "m", 0.0, 1.0), Field::share("stock", 20.0, "units")]);
        assert_eq!(columns(&numbers), ["x", "stock [units]"]);
        assert_eq!(cells(&numbers, &[0.5, 0.25]), ["0.5", "5"]);
    }
}
