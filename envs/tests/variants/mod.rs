//! Settings that environments are tested with.

use serde_json::{Value, json};

/// Settings beside the defaults: other sizes, other forms of actions, whatever carries over.
pub fn variants(id: &str) -> Vec<Value> {
    let more = match id {
        "classic/breakout-10" => vec![json!({"actions": "all", "sticky": 0.5, "step_limit": 40})],
        "classic/frozen-lake" => vec![json!({"map": "8x8"}), json!({"rows": ["SG", "FH"], "slippery": false})],
        "classic/mountain-car" => vec![json!({"goal_velocity": 0.01, "step_limit": 50})],
        "classic/pendulum" => vec![json!({"gravity": 2.0, "step_limit": 1000})],
        "games/connect-four" => vec![json!({"rows": 4, "columns": 5, "line": 3}), json!({"rows": 10, "columns": 11})],
        "games/go" => vec![json!({"size": 3, "suicide": false}), json!({"size": 5, "move_limit": 20})],
        "games/hex" => vec![json!({"size": 3}), json!({"size": 1})],
        "games/othello" => vec![json!({"size": 4}), json!({"size": 6})],
        "games/2048" => vec![json!({"rows": 2, "columns": 2}), json!({"rows": 1, "columns": 5, "goal": 16})],
        "games/backgammon" => vec![json!({"scoring": "full"})],
        "games/liars-dice" => vec![json!({"dice": 5, "sides": 6}), json!({"dice": 2, "sides": 2})],
        "robot/lqr" => vec![
            json!({"system": "random", "states": 8, "inputs": 3, "spectral_radius": 1.05, "steps": 30}),
            json!({"system": "matrices", "a": [[0.5]], "b": [[0]], "noise": 0, "start": 0, "discount": 0}),
        ],
        "robot/cartpole-swing-up" => vec![json!({"gravity": 0, "step_limit": 60})],
        "robot/lunar-lander" => vec![
            json!({"continuous": true, "enable_wind": true, "step_limit": 60}),
            json!({"gravity": 0, "enable_wind": true, "wind_power": 20, "turbulence_power": 2}),
        ],
        "robot/bipedal-walker" => vec![json!({"step_limit": 50})],
        "robot/half-cheetah" => vec![json!({"exclude_current_positions_from_observation": false, "step_limit": 40})],
        "robot/walker2d" => vec![json!({"version": "v4", "terminate_when_unhealthy": false, "step_limit": 40})],
        "robot/ant" => vec![json!({"version": "v4", "use_contact_forces": true, "main_body": "aux_1"})],
        "robot/humanoid" => vec![json!({"version": "v4", "step_limit": 30})],
        "robot/mjcf" => vec![
            json!({
                "step_limit": 60,
                "action": "target", "action_scale": 0.5, "kp": 20.0, "kd": 0.5,
                "observe": ["qpos", "qvel", {"field": "base_height", "noise": 0.01}, "command", "last_action",
                            {"field": "contact", "of": ["aux_1"]}, {"field": "place", "of": ["torso"]},
                            {"field": "joint_positions", "of": ["hip_1", "ankle_1"], "scale": 0.5, "noise": 0.02}],
                "reward": ["track_velocity", "track_yaw", "alive", {"term": "vertical_velocity", "weight": -1},
                           {"term": "energy", "weight": -1e-3}, {"term": "action_rate", "weight": -0.01},
                           {"term": "distance", "weight": -1, "from": "torso", "to": "aux_1"}],
                "terminate": {"height_below": 0.25, "tilt_above": 1.0},
                "randomize": {"mass": [0.8, 1.2], "friction": [0.5, 1.5], "damping": [0.5, 2], "gain": [0.8, 1.2],
                              "latency": [0, 7], "pose": 0.1, "velocity": 0.1, "push_every": 7, "push": 1.0},
                "command": {"x": [-1, 1], "yaw": [0, 1], "resample_every": 9, "start": 0.2, "grow": 0.2, "goal": 0.1},
            }),
            json!({
                "model": "half_cheetah.xml", "base": "torso", "actuators": ["bthigh", "fthigh"], "step_limit": 40,
                "observe": ["joint_positions", "joint_velocities"], "randomize": {"anywhere": ["bthigh"]},
                "terminate": {"contact": ["head"]},
            }),
        ],
        "robot/reacher" => vec![json!({"version": "v4"})],
        "robot/inverted-double-pendulum" => vec![json!({"version": "v4", "frame_skip": 1})],
        "pricing/perishable" => vec![
            json!({"price_range": [1, 9], "stock": 3, "periods": 10}),
            json!({"demand": "poisson", "scale": 3, "stock": 9, "periods": 7}),
        ],
        "pricing/single-leg" => vec![json!({"capacity": 2, "periods": 9, "fares": [5], "arrivals": [0.9]})],
        "pricing/assortment" => vec![json!({"values": [1], "costs": [0.2], "sales": "expected", "periods": 3})],
        "pricing/duopoly" => vec![
            json!({"sellers": 3, "prices": 5, "periods": 12, "shown": 4}),
            json!({"rivals": "undercut", "start": 4, "periods": 30}),
            json!({"sellers": 1, "periods": 8}),
        ],
        "pricing/learn-and-earn" => vec![json!({"periods": 20, "arms": 3, "noise": 0.0})],
        "pricing/retail" => vec![
            json!({"weeks": "resample", "periods": 9}),
            json!({"stock": [300, 200, 100], "seasons": [0.1, -0.2, 0.3], "rival": 1.0, "periods": 6}),
            json!({"reference_effect": 0.4, "promotions": [true, false], "regular_low": [1, 1, 1], "sales": "expected"}),
            json!({
                "demand": "log-log", "intercepts": [-3, -4, -3], "elasticities": [[-2, 0.1, 0], [0, -3, 0.2], [0, 0, -1.5]],
                "calendar_effects": [[0.1, 0.2, 0], [0, 0, 0], [0, 0.1, 0.1]], "dispersion": [0.2, 0, 0.1],
                "charged": [[1, 1, 1], [1.5, 1.5, 1.5]], "held": ["fine"],
            }),
            json!({
                "demand": "nested-logit", "nests": [["plain", "best"]], "nest_correlations": [0.6], "rival": 1.0,
                "stock": [300, 200, 100], "periods": 6,
            }),
            json!({"rules": {
                "endings": [0.95, 0.99], "max_change": 0.6, "cooldown": 2, "min_margin": 0.1,
                "gaps": [{"dearer": "fine", "cheaper": "plain", "gap": 0.2}],
            }}),
        ],
        _ => Vec::new(),
    };
    std::iter::once(json!({})).chain(more).collect()
}
