//! Demands that episodes are drawn from: what demand may be, given the error of its estimation.

use super::RetailSettings;
use crate::pricing::logit::Logit;
use agon_core::EnvError;

/// The demands that episodes are drawn from; checks all that were given.
pub(super) fn read(s: &RetailSettings) -> Result<Vec<Logit>, EnvError> {
    let (n, rows, draws) = (s.intercepts.len(), s.drawn_intercepts.len(), s.draws as usize);
    for (name, table) in [
        ("drawn_intercepts", &s.drawn_intercepts),
        ("drawn_price_effects", &s.drawn_price_effects),
        ("drawn_display_effects", &s.drawn_display_effects),
    ] {
        if table.len() != rows || table.iter().any(|row| row.len() != n) {
            let message = format!("needs {rows} rows of {n} entries, one a product, as `drawn_intercepts` has");
            return Err(EnvError::setting(name, message));
        }
    }
    if rows < draws {
        let message =
            format!("is {draws}, but there are {rows} drawn demands: [fit] makes them, or `drawn_…` gives them");
        return Err(EnvError::setting("draws", message));
    }
    let one = |i: usize| Logit {
        intercepts: s.drawn_intercepts[i].clone(),
        price_effects: s.drawn_price_effects[i].clone(),
        display_effects: s.drawn_display_effects[i].clone(),
    };
    Ok((0..draws).map(one).collect())
}
