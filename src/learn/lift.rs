//! What prices earn more than those charged, with an interval that holds the error of the demand's estimation: the policy
//! is evaluated under every drawn demand. Where several forms of demand forecast about as well, draws are of all of them.

use crate::described::Described;
use crate::plan::{Plan, stopped};
use agon::{Failure, Outcome};
use agon_agents::evaluate::evaluate_until;
use agon_core::policy::{self, Actor};
use agon_core::settings::Settings;
use agon_core::{Entry, VecEnv};
use agon_envs::pricing::retail::RetailSettings;
use serde_json::{Map, Value, json};

/// The player whose prices are the shop's own.
pub const CHARGED: &str = "charged";
const DRAWN: [&str; 8] = [
    "drawn_intercepts",
    "drawn_price_effects",
    "drawn_nest_correlations",
    "drawn_display_effects",
    "drawn_elasticities",
    "drawn_calendar_effects",
    "drawn_covariate_effects",
    "drawn_reference_effects",
];
/// With fewer draws the ends of a 95 % interval are no more than their extremes.
const FEWEST: usize = 40;

/// The share by which a policy earns more than the prices charged.
#[derive(Clone, Debug)]
pub struct Lift {
    /// Under the fitted demand, where everybody buys the expected amounts, less the optimism; where draws have several forms,
    /// the mean over them by their weights.
    pub fitted: f64,
    /// What each form says, by which prices were chosen first; empty where all draws have the fitted one's.
    pub forms: Vec<FormLift>,
    /// The 95 % percentile interval over draws, its lower end less the optimism. Draws are where the truth may be: in shops of
    /// two products that alone holds it; of many products, whose best prices follow many errors, it lies lower by as much.
    pub interval: [f64; 2],
    /// How many.
    pub draws: usize,
    /// Whether the policy obeys rules that the shop did not have: the prices charged are then those before any rule.
    pub rules: bool,
    /// Half the width of the 95 % interval of chance between episodes, where weeks depend on those before; else 0.
    pub chance: f64,
    /// What was taken off, as prices chosen by an estimated demand seem to earn more than they do.
    pub optimism: f64,
}

/// The lift by one form of demand.
#[derive(Clone, Debug, PartialEq)]
pub struct FormLift {
    /// What reports call it.
    pub name: String,
    /// Whether it is a log-log demand, and not a logit, nested or not.
    pub log_log: bool,
    /// Its share of the draws.
    pub weight: f64,
    /// Under the fitted demand if prices were chosen by this form, else the median of its draws; less the optimism.
    pub lift: f64,
}

/// How often intervals over several forms held the truth (src/learn/market/coverage.rs).
const HELD: &str = "94 to 100 % with two products and 90 to 98 % with seven";

/// Episodes of which the mean is taken where what is earned depends on the week that an episode begins with.
const EPISODES: usize = 20;

/// Draws by which optimism is estimated: each takes a search of best prices.
const CHOSEN_BY: usize = 40;

/// Weeks by which optimism is estimated where each stands for itself: so many are drawn of a table with many more.
const WEEKS: usize = 250;
const MANY_WEEKS: usize = 1000;

/// The environment in which prices are compared.
pub struct Shop<'a> {
    /// Its registry row.
    pub env: &'a Entry,
    /// Its settings.
    pub settings: &'a Map<String, Value>,
    /// What the policy observes, where that is not what the environment shows.
    pub features: Option<&'a Described>,
    /// Whether somebody wants the comparison to end.
    pub stopped: &'a (dyn Fn() -> bool + Sync),
}

impl Shop<'_> {
    /// A batch of it with other settings, as the policy observes it.
    fn build(&self, settings: &Map<String, Value>, episodes: usize) -> Outcome<Box<dyn VecEnv>> {
        let env = self.env.build(settings, episodes, 1).map_err(|e| Failure::Input(e.to_string()))?;
        match self.features {
            None => Ok(env),
            Some(features) => features.around(env),
        }
    }
}

/// A lift before the optimism is taken off.
struct UnderDraws {
    fitted: f64,
    forms: Vec<FormLift>,
    /// The 95 % interval over draws, with chance between episodes.
    interval: [f64; 2],
    draws: usize,
    rules: bool,
    chance: f64,
}

/// Whether rules limit a price by the ones before it.
fn rules_remember(rules: &Value) -> bool {
    !rules["max_change"].is_null() || rules["cooldown"].as_u64().is_some_and(|weeks| weeks > 0)
}

/// Whether nothing carries over from one week of the shop to the next, so that its weeks can be in any order.
fn weeks_stand_alone(settings: &Map<String, Value>) -> bool {
    RetailSettings::read(settings).is_ok_and(|s| !s.carries_over() && s.most_used_to() == 0.0)
        && !settings.get("rules").is_some_and(rules_remember)
}

impl Lift {
    /// Of one policy, if the plan's environment has drawn demands and prices that were charged.
    pub fn of(plan: &Plan, who: &mut dyn Actor, seed: u64, tell: &mut dyn FnMut(String)) -> Outcome<Option<Self>> {
        let shop = Shop {
            env: &plan.env,
            settings: &plan.eval_env_settings,
            features: plan.features.as_ref(),
            stopped: &|| plan.stopped(),
        };
        Self::in_shop(&shop, who, seed, tell)
    }

    /// Of one policy in a shop, if that has drawn demands and prices that were charged.
    pub fn in_shop(
        shop: &Shop<'_>,
        who: &mut dyn Actor,
        seed: u64,
        tell: &mut dyn FnMut(String),
    ) -> Outcome<Option<Self>> {
        let Some(found) = Self::under_draws(shop, who, seed, tell)? else { return Ok(None) };
        let UnderDraws { fitted, mut forms, interval: [low, high], draws, rules, chance } = found;
        tell("lift over the charged prices: what prices chosen by drawn demands earn under the fitted one".into());
        let optimism = match Self::optimism(shop, seed)? {
            // Of a policy that gains less than the best prices do, as much less.
            Some((best, optimism)) if best > 0.0 => {
                let chosen_by = forms.first().map_or(fitted, |form| form.lift);
                optimism * (chosen_by / best).clamp(0.0, 1.0)
            }
            _ => 0.0,
        };
        let interval = [low.min(low - optimism), high];
        // Prices were chosen by one estimated demand: they seem better by that and its like, not by demands of the other kind.
        let chosen = forms.first().map(|form| form.log_log);
        let mut alike = if chosen.is_none() { 1.0 } else { 0.0 };
        for form in forms.iter_mut().filter(|form| Some(form.log_log) == chosen) {
            form.lift -= optimism;
            alike += form.weight;
        }
        Ok(Some(Self { fitted: fitted - alike * optimism, forms, interval, draws, rules, chance, optimism }))
    }

    /// The lift of one policy under a shop's fitted demand and over the drawn ones; none where there are too few, or no prices that were charged.
    fn under_draws(
        shop: &Shop<'_>,
        who: &mut dyn Actor,
        seed: u64,
        tell: &mut dyn FnMut(String),
    ) -> Outcome<Option<UnderDraws>> {
        let settings = shop.settings;
        // Demand of one form has no effects of the other.
        let drawn = DRAWN.map(|key| settings.get(key).and_then(Value::as_array).filter(|rows| !rows.is_empty()));
        let Some(count) = drawn[0].map(Vec::len).filter(|count| *count >= FEWEST) else { return Ok(None) };
        if drawn.iter().flatten().any(|rows| rows.len() != count) {
            return Ok(None);
        }
        // Each draw is the only one of an environment of its own, where players still know the fitted demand alone.
        let mut one = settings.clone();
        one.insert("sales".into(), "expected".into());
        one.remove("drawn_forms");
        let rules = settings.get("rules").filter(|rules| !rules.is_null());
        let episodes = if rules.is_some_and(rules_remember) { EPISODES } else { 1 };
        // What each episode earns by the policy, and at the prices that the shop really charged: by no rules.
        let mut earned = |draw: Option<usize>| -> Outcome<Option<[Vec<f64>; 2]>> {
            for (key, rows) in DRAWN.iter().zip(drawn) {
                let row: Vec<Value> = draw.iter().filter_map(|i| Some(rows?[*i].clone())).collect();
                one.insert((*key).into(), row.into());
            }
            one.insert("draws".into(), u32::from(draw.is_some()).into());
            let mut free = one.clone();
            free.remove("rules");
            let (mut env, mut without) = (shop.build(&one, episodes)?, shop.build(&free, episodes)?);
            let Ok(mut charged) = policy::by_name(&*without, CHARGED, seed) else { return Ok(None) };
            let total = |env: &mut dyn VecEnv, who: &mut dyn Actor| {
                let done = evaluate_until(env, who, seed, 0, &mut |_| {}, shop.stopped);
                done.map(|done| done.returns).ok_or_else(stopped)
            };
            let (own, theirs) = (total(&mut *env, who)?, total(&mut *without, &mut *charged)?);
            // A share of nothing, or of a loss, says nothing.
            Ok((theirs.iter().sum::<f64>() > 0.0).then_some([own, theirs]))
        };
        let Some(returns) = earned(None)? else { return Ok(None) };
        let (chosen_by, chance) = (share(&returns), chance(&returns));
        let mut lifts = Vec::with_capacity(count);
        for draw in 0..count {
            if draw % 50 == 0 {
                tell(format!("lift over the charged prices: draw {} of {count}", draw + 1));
            }
            lifts.extend(earned(Some(draw))?.as_ref().map(share));
        }
        if lifts.len() < count {
            return Ok(None);
        }
        let forms = by_form(&forms_of(settings), chosen_by, &lifts);
        let fitted = match &forms[..] {
            [] => chosen_by,
            forms => forms.iter().map(|form| form.weight * form.lift).sum(),
        };
        // Errors of estimation and chance are independent: their squares are added.
        let [low, high] = interval(lifts);
        let wider = |end: f64| end.max(0.0).hypot(chance);
        let ends = [fitted - wider(fitted - low), fitted + wider(high - fitted)];
        let interval = if chance > 0.0 { ends } else { [low, high] };
        Ok(Some(UnderDraws { fitted, forms, interval, draws: count, rules: rules.is_some(), chance }))
    }

    /// By how much the lift of the best prices seems larger, by the demand that they were chosen by, than it is. In the world
    /// of the bootstrap the fitted demand is true and a drawn one is estimated: the mean over draws of what their best prices
    /// earn by themselves, less what they earn in truth (Efron 1983). Beside it the lift of the fitted demand's best prices.
    fn optimism(shop: &Shop<'_>, seed: u64) -> Outcome<Option<(f64, f64)>> {
        let settings = shop.settings;
        let rows = |key: &str| settings.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let flat = |key: &str| -> Vec<Value> {
            rows(key).into_iter().flat_map(|row| row.as_array().cloned().unwrap_or_else(|| vec![row])).collect()
        };
        // Only demands of the form that prices are chosen by are what might have been estimated.
        let forms = forms_of(settings);
        let own: Vec<usize> = (0..rows(DRAWN[0]).len()).filter(|i| forms.get(*i) == forms.first()).collect();
        let count = CHOSEN_BY.min(own.len());
        // The lift of a demand's best prices: by itself, and where episodes have the fitted demand.
        let lift = |of: &Map<String, Value>| -> Outcome<Option<f64>> {
            let Ok(mut env) = shop.env.build(of, 1, 1) else { return Ok(None) };
            let (Ok(mut best), Ok(mut charged)) =
                (policy::by_name(&*env, "myopic", seed), policy::by_name(&*env, CHARGED, seed))
            else {
                return Ok(None);
            };
            let mut total = |who: &mut dyn Actor| {
                let done = evaluate_until(&mut *env, who, seed, 0, &mut |_| {}, shop.stopped);
                done.map(|done| done.returns[0]).ok_or_else(stopped)
            };
            let (own, theirs) = (total(&mut *best)?, total(&mut *charged)?);
            Ok((theirs > 0.0).then(|| own / theirs - 1.0))
        };
        let mut plain = settings.clone();
        plain.insert("sales".into(), "expected".into());
        plain.insert("draws".into(), 0.into());
        plain.remove("drawn_forms");
        DRAWN.iter().for_each(|key| drop(plain.insert((*key).into(), json!([]))));
        // The mean over weeks is estimated by fewer; all demands see the same ones.
        if rows("customers").len() > MANY_WEEKS && weeks_stand_alone(settings) {
            plain.insert("weeks".into(), "resample".into());
            plain.insert("periods".into(), WEEKS.into());
        }
        let Some(best) = lift(&plain)? else { return Ok(None) };
        let (mut sum, mut found) = (0.0, 0);
        for i in (0..count).map(|i| own[i * own.len() / count]) {
            let (mut seeming, n) = (plain.clone(), flat("names").len());
            let drawn = |key: &str| rows(key).get(i)?.as_array().filter(|row| !row.is_empty()).cloned();
            for (key, rows_of) in [
                ("intercepts", None),
                ("price_effects", None),
                ("nest_correlations", None),
                ("display_effects", None),
                ("elasticities", Some(n)),
                ("calendar_effects", Some(3)),
                ("covariate_effects", Some(flat("covariate_names").len())),
                ("reference_effects", None),
            ] {
                let Some(list) = drawn(&format!("drawn_{key}")) else { continue };
                let value =
                    rows_of.map_or_else(|| json!(list), |long| json!(list.chunks(long.max(1)).collect::<Vec<_>>()));
                seeming.insert(key.into(), value);
            }
            let mut in_truth = seeming.clone();
            for key in DRAWN.iter().filter(|key| drawn(key).is_some()) {
                in_truth.insert((*key).into(), json!([flat(&key["drawn_".len()..])]));
            }
            in_truth.insert("draws".into(), 1.into());
            if let (Some(seeming), Some(truth)) = (lift(&seeming)?, lift(&in_truth)?) {
                sum += seeming - truth;
                found += 1;
            }
        }
        Ok((found > 0 && 2 * found >= count).then(|| (best, sum / f64::from(u32::try_from(found).unwrap_or(1)))))
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let [value, low, high] = [self.fitted, self.interval[0], self.interval[1]].map(|x| 100.0 * x);
        let draws = self.draws;
        let charged = if self.rules { "charged (the shop's own prices, before the rules)" } else { "charged" };
        let chance = match 100.0 * self.chance {
            0.0 => String::new(),
            points => format!(" and of chance between {EPISODES} episodes (± {points:.1} points)"),
        };
        let less = match 100.0 * self.optimism {
            off if off.abs() < 0.05 => String::new(),
            off => format!(", less {off:.1} points that prices chosen by an estimated demand only seem to earn"),
        };
        let by_lift = |a: &&FormLift, b: &&FormLift| a.lift.total_cmp(&b.lift);
        let ends = self.forms.iter().min_by(by_lift).zip(self.forms.iter().max_by(by_lift));
        let says = |f: &FormLift| format!("`{}` says {:+.1} %", f.name, 100.0 * f.lift);
        let (drawn, forms) = match ends {
            None => (
                "around the fitted one",
                "it holds if demand is of the fitted form and stays as it is: of intervals in simulated shops 91 to 98 % then \
                 held the truth, and from 98 % down to none where it was the wrong one"
                    .to_owned(),
            ),
            Some((least, most)) => (
                "around the fitted one and others",
                format!(
                    "{} models of demand forecast about as well: {}, {}; it holds if demand is near one of them and stays as \
                     it is: of such intervals in simulated shops {HELD} held the truth",
                    self.forms.len(),
                    says(least),
                    says(most)
                ),
            ),
        };
        format!(
            "more than {charged}: {value:+.1} %, 95 % interval [{low:+.1} %, {high:+.1} %] with the error of estimation ({draws} \
             demands drawn {drawn}){chance}{less}; {forms}\n"
        )
    }

    /// The same as data.
    pub fn json(&self) -> Map<String, Value> {
        let all = json!({"share": self.fitted, "interval": self.interval, "draws": self.draws, "optimism": self.optimism, "chance": self.chance,
            "forms": self.forms.iter().map(|f| json!({"name": f.name, "weight": f.weight, "share": f.lift})).collect::<Vec<_>>()});
        all.as_object().cloned().unwrap_or_default()
    }
}

/// The name of each draw's form, and whether it is a log-log demand; empty where all have the same.
fn forms_of(settings: &Map<String, Value>) -> Vec<(String, bool)> {
    let names = settings.get("drawn_forms").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rows = settings.get("drawn_elasticities").unwrap_or(&Value::Null);
    let log_log = |draw: usize| rows[draw].as_array().is_some_and(|row| !row.is_empty());
    names.iter().enumerate().filter_map(|(i, name)| Some((name.as_str()?.to_owned(), log_log(i)))).collect()
}

/// What each form says, the first of which prices were chosen by; nothing of one form. `drawn`: the form of each draw.
fn by_form(drawn: &[(String, bool)], chosen_by: f64, lifts: &[f64]) -> Vec<FormLift> {
    let mut forms: Vec<(&(String, bool), Vec<f64>)> = Vec::new();
    for (form, lift) in drawn.iter().zip(lifts) {
        match forms.iter_mut().find(|(known, _)| *known == form) {
            Some((_, own)) => own.push(*lift),
            None => forms.push((form, vec![*lift])),
        }
    }
    if forms.len() < 2 {
        return Vec::new();
    }
    let one = |(i, ((name, log_log), mut own)): (usize, (&(String, bool), Vec<f64>))| {
        own.sort_by(f64::total_cmp);
        let weight = own.len() as f64 / lifts.len() as f64;
        FormLift {
            name: name.clone(),
            log_log: *log_log,
            weight,
            lift: if i == 0 { chosen_by } else { own[own.len() / 2] },
        }
    };
    forms.into_iter().enumerate().map(one).collect()
}

/// The share by which episodes earn more than the others beside them.
fn share([own, theirs]: &[Vec<f64>; 2]) -> f64 {
    match (&own[..], &theirs[..]) {
        ([own], [theirs]) => own / theirs - 1.0,
        _ => own.iter().sum::<f64>() / theirs.iter().sum::<f64>() - 1.0,
    }
}

/// Half the width of the 95 % interval of that share by chance between pairs of episodes (the ratio's linearisation); 0 of
/// one pair.
fn chance(returns: &[Vec<f64>; 2]) -> f64 {
    let ([own, theirs], ratio) = (returns, 1.0 + share(returns));
    let n = own.len() as f64;
    if own.len() < 2 {
        return 0.0;
    }
    let square = own.iter().zip(theirs).map(|(own, theirs)| (own - ratio * theirs).powi(2)).sum::<f64>() / (n - 1.0);
    1.96 * (square / n).sqrt() / (theirs.iter().sum::<f64>() / n)
}

/// The 2.5th and the 97.5th percentile.
fn interval(mut all: Vec<f64>) -> [f64; 2] {
    all.sort_by(f64::total_cmp);
    let cut = (0.025 * all.len() as f64) as usize;
    [all[cut], all[all.len() - 1 - cut]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 30 / 20 − 1; residuals −5 and 5 about 1.5, an error of √(50 / 2) = 5 beside a mean of 10.
    #[test]
    fn episodes_that_differ_widen_the_interval() {
        let returns = [vec![10.0, 20.0], vec![10.0, 10.0]];
        assert_eq!(share(&returns), 0.5);
        assert!((chance(&returns) - 0.98).abs() < 1e-12);
        assert_eq!(chance(&[vec![3.0], vec![2.0]]), 0.0);
    }

    /// Prices were chosen by the first form, whose fitted demand speaks for it; of the others the median of their draws does.
    #[test]
    fn each_form_says_its_own() {
        let names = ["a", "b", "a", "b", "b", "b"].map(|name| (name.to_owned(), name == "b"));
        let found = by_form(&names, 0.5, &[0.4, 0.1, 0.6, 0.2, 0.3, 0.2]);
        let form =
            |name: &str, weight: f64, lift: f64| FormLift { name: name.into(), log_log: name == "b", weight, lift };
        assert_eq!(found, [form("a", 2.0 / 6.0, 0.5), form("b", 4.0 / 6.0, 0.2)]);
        assert!(by_form(&names[..1], 0.5, &[0.4]).is_empty() && by_form(&[], 0.5, &[0.4]).is_empty());
    }

    #[test]
    fn intervals_hold_19_of_20() {
        assert_eq!(interval((0..200).rev().map(f64::from).collect()), [5.0, 194.0]);
        assert_eq!(interval((0..40).map(f64::from).collect()), [1.0, 38.0]);
    }
}
