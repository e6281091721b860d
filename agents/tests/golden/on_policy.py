"""Losses and gradients of PPO, A2C and REINFORCE by an implementation that shares nothing with Agon's.

    pip install numpy && python3 agents/tests/golden/on_policy.py > agents/tests/golden/on_policy.json

Everything is in float64. Gradients are central differences of the loss, so that no formula of a derivative can be wrong
in both places. Inputs are rounded to float32, as Agon reads them. `agents/src/on_policy/oracle.rs` compares.
"""

import json

import numpy as np

STEPS, ROWS, OBS, GAMMA = 6, 6, 3, 0.9
CLIP = 0.2
STEP = 1e-5  # of the differences


def f32(x):
    return np.asarray(x, np.float32).astype(np.float64)


# ---- networks -------------------------------------------------------------------------------------------------------


def mlp(p, name, x, activation, all_hidden=False):
    layers = sorted(int(k.split(".")[1]) for k in p if k.startswith(name + ".") and k.endswith("weight"))
    for i in layers:
        x = x @ p[f"{name}.{i}.weight"] + p[f"{name}.{i}.bias"]
        if all_hidden or i != layers[-1]:
            x = np.tanh(x) if activation == "tanh" else np.maximum(x, 0.0)
    return x


def gru(p, x, h):
    sigmoid = lambda x: 1.0 / (1.0 + np.exp(-x))
    i = np.split(x @ p["memory.weight_ih"].T + p["memory.bias_ih"], 3, -1)
    j = np.split(h @ p["memory.weight_hh"].T + p["memory.bias_hh"], 3, -1)
    r, z = sigmoid(i[0] + j[0]), sigmoid(i[1] + j[1])
    return (1 - z) * np.tanh(i[2] + r * j[2]) + z * h


def heads(p, case, seen):
    if "trunk.0.weight" in p:
        seen = mlp(p, "trunk", seen, case["activation"], True)
    return mlp(p, "policy", seen, case["activation"]), mlp(p, "value", seen, case["activation"])[..., 0]


def remembered(p, case, obs, ended):
    """What the heads are given at every step: the observations, or what the unit remembers after them."""
    if not case["memory"]:
        return obs
    h, out = np.zeros((obs.shape[1], case["memory"])), []
    for t in range(len(obs)):
        if t > 0:
            h = h * (1.0 - ended[t - 1])[:, None]
        h = gru(p, obs[t], h)
        out.append(h)
    return np.stack(out)


# ---- distributions --------------------------------------------------------------------------------------------------


def gaussian(p, case, out):
    """Means and logarithms of deviations."""
    if case["deviation"] == "free":
        return out, p["log_std"]
    mean, s = np.split(out, 2, -1)
    return mean, np.clip(s, -20, 5)


def log_prob_and_entropy(p, case, out, raw, mask):
    """Log-probabilities and entropies, over the leading dimensions."""
    if case["action"] == "gaussian":
        out, s = gaussian(p, case, out)
        log_p = -0.5 * ((raw - out) / np.exp(s)) ** 2 - s - 0.5 * np.log(2 * np.pi)
        entropy = np.broadcast_to(s + 0.5 * np.log(2 * np.pi * np.e), out.shape)
        return log_p.sum(-1), entropy.sum(-1)
    log_p, entropy, at = 0.0, 0.0, 0
    for k, n in enumerate(case["sizes"]):
        logits = np.where(mask[..., at:at + n], out[..., at:at + n], -np.inf)
        logits = logits - logits.max(-1, keepdims=True)
        log_q = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        q = np.exp(log_q)
        entropy = entropy - np.where(q > 0, q * np.where(q > 0, log_q, 0.0), 0.0).sum(-1)
        log_p = log_p + np.take_along_axis(log_q, raw[..., k:k + 1].astype(int), -1)[..., 0]
        at += n
    return log_p, entropy


# ---- losses ---------------------------------------------------------------------------------------------------------


def advantages(d, value, after, final, lam):
    a, carry = np.zeros_like(value), np.zeros(ROWS)
    following = np.concatenate([value[1:], after[None]])
    for t in reversed(range(STEPS)):
        # Nothing follows where the rules end an episode; where a limit cuts it off, what was expected there.
        next_value = np.where(d["terminated"][t], 0.0, np.where(d["truncated"][t], final[t], following[t]))
        delta = d["reward"][t] + GAMMA * next_value - value[t]
        going_on = 1.0 - np.maximum(d["terminated"][t], d["truncated"][t])
        carry = delta + GAMMA * lam * going_on * carry
        a[t] = carry
    return a


def policy_and_value(p, case, d):
    ended = np.maximum(d["terminated"], d["truncated"])
    seen = remembered(p, case, d["obs"][:STEPS], ended)
    return heads(p, case, seen)


def before(p, case, d):
    """Values of all observations and of the last ones of episodes, before anything is learned."""
    ended = np.maximum(d["terminated"], d["truncated"])
    seen = remembered(p, case, d["obs"], np.concatenate([ended, ended[:1]]))
    value = heads(p, case, seen)[1]
    last = d["final_obs"] if not case["memory"] else gru(p, d["final_obs"], seen[:STEPS])
    return value[:STEPS], value[STEPS], heads(p, case, last)[1]


def seen_too(moments, more):
    """Mean and deviation of numbers of which so many were seen before, and of more numbers."""
    n, m, v = moments["count"], moments["mean"][0], moments["variance"][0]
    total = n + more.size
    mean = (n * m + more.sum()) / total
    square = (n * (v + m ** 2) + (more ** 2).sum()) / total
    return mean, np.sqrt(square - mean ** 2 + 1e-8)


def ppo(case, d, p0):
    value, after, final = before(p0, case, d)
    moments, standardised = case["value_moments"], lambda x: x
    if moments:
        # Values are returns in units of what was seen of them before; targets, in units of what was seen with them.
        value, after, final = [x * np.sqrt(moments["variance"][0] + 1e-8) + moments["mean"][0] for x in (value, after, final)]
    a = advantages(d, value, after, final, case["gae_lambda"])
    target = a + value
    if moments:
        mean, deviation = seen_too(moments, f32(target))
        standardised = lambda x: (x - mean) / deviation
    rows = np.array(case["at"])
    pick = (lambda x: x[:, rows].reshape(-1, *x.shape[2:])) if case["memory"] else (
        lambda x: x.reshape(-1, *x.shape[2:])[rows])
    advantage = pick(a)
    if case["normalize_advantage"]:
        advantage = (advantage - advantage.mean()) / (advantage.std(ddof=1) + 1e-8)

    def loss(p):
        out, v = policy_and_value(p, case, d)
        log_p, entropy = log_prob_and_entropy(p, case, out, d["raw"], d["mask"])
        log_p, entropy, v = pick(log_p), pick(entropy), pick(v)
        log_ratio = log_p - pick(d["log_prob"])
        ratio = np.exp(log_ratio)
        policy = -np.minimum(ratio * advantage, np.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage).mean()
        goal = standardised(pick(target))
        error = (v - goal) ** 2
        if case["value_clip"] is not None:
            old = standardised(pick(d["old_value"]))
            bounded = old + np.clip(v - old, -case["value_clip"], case["value_clip"])
            error = np.maximum(error, (bounded - goal) ** 2)
        kl, share = (ratio - 1 - log_ratio).mean(), (np.abs(ratio - 1) > CLIP).mean()
        total = policy + case["value_coef"] * error.mean() - case["entropy_coef"] * entropy.mean()
        return total, [policy, error.mean(), entropy.mean(), kl, share]

    return loss, {"value": value, "advantage": a, "target": target}


def a2c(case, d, p0):
    value, after, final = before(p0, case, d)
    a = advantages(d, value, after, final, case["gae_lambda"])
    advantage = (a - a.mean()) / (a.std(ddof=1) + 1e-8) if case["normalize_advantage"] else a

    def loss(p):
        out, v = policy_and_value(p, case, d)
        log_p, entropy = log_prob_and_entropy(p, case, out, d["raw"], d["mask"])
        policy, error = -(log_p * advantage).mean(), ((v - (a + value)) ** 2).mean()
        total = policy + case["value_coef"] * error - case["entropy_coef"] * entropy.mean()
        return total, [policy, error, entropy.mean()]

    return loss, {"value": value, "advantage": a, "target": a + value}


def reinforce(case, d, p0):
    """Steps of episodes that ended within the rollout, with their discounted returns."""
    value, _, final = before(p0, case, d)
    ended, places, returns = np.maximum(d["terminated"], d["truncated"]), [], []
    for row in range(ROWS):
        ends = np.flatnonzero(ended[:, row])
        if len(ends) == 0:
            continue
        g = np.zeros(STEPS)
        for t in reversed(range(ends[-1] + 1)):
            follows = final[t, row] * d["truncated"][t, row] if ended[t, row] else g[t + 1]
            g[t] = d["reward"][t, row] + GAMMA * follows
        places += [(t, row) for t in range(ends[-1] + 1)]
        returns += list(g[:ends[-1] + 1])
    at, returns = tuple(np.array(places).T), np.array(returns)
    advantage = returns - value[at] if case["baseline"] else returns

    def loss(p):
        out, v = policy_and_value(p, case, d)
        log_p, entropy = log_prob_and_entropy(p, case, out, d["raw"], d["mask"])
        policy, error = -(log_p[at] * advantage).mean(), ((v[at] - returns) ** 2).mean()
        total = policy + case["value_coef"] * error - case["entropy_coef"] * entropy[at].mean()
        return total, [policy, error, entropy[at].mean()]

    return loss, {}


# ---- cases ----------------------------------------------------------------------------------------------------------


def parameters(rng, case):
    outputs = sum(case["sizes"]) * (2 if case["deviation"] == "state" else 1)
    p, first = {}, OBS

    def layer(name, i, inputs, outputs):
        p[f"{name}.{i}.weight"] = f32(rng.normal(size=(inputs, outputs)) * 0.5)
        p[f"{name}.{i}.bias"] = f32(rng.normal(size=outputs) * 0.2)

    if case["memory"]:
        n = case["memory"]
        for name, shape in [("weight_ih", (3 * n, OBS)), ("weight_hh", (3 * n, n)), ("bias_ih", 3 * n), ("bias_hh", 3 * n)]:
            p[f"memory.{name}"] = f32(rng.normal(size=shape) * 0.7)
        first = n
    sizes = [first, *case["hidden"]]
    if case["shared_trunk"]:
        for i in range(len(case["hidden"])):
            layer("trunk", i, sizes[i], sizes[i + 1])
        sizes = sizes[-1:]
    for name, last in [("policy", outputs), ("value", 1)]:
        whole = [*sizes, last]
        for i in range(len(whole) - 1):
            layer(name, i, whole[i], whole[i + 1])
    if case["action"] == "gaussian" and case["deviation"] == "free":
        p["log_std"] = f32(rng.normal(size=outputs) * 0.2)
    return p


def data(rng, case, p):
    outputs = sum(case["sizes"])
    d = {
        "obs": f32(rng.normal(size=(STEPS + 1, ROWS, OBS))),
        "final_obs": f32(rng.normal(size=(STEPS, ROWS, OBS))),
        "reward": f32(rng.normal(size=(STEPS, ROWS))),
        "terminated": np.zeros((STEPS, ROWS)),
        "truncated": np.zeros((STEPS, ROWS)),
        "mask": np.ones((STEPS, ROWS, outputs), bool),
    }
    # Ends of both kinds inside, at the last step, twice in a row, and a row that goes on.
    for kind, t, row in [("terminated", 1, 0), ("truncated", 3, 0), ("truncated", 2, 1), ("terminated", 5, 1), ("truncated", 5, 2)]:
        d[kind][t, row] = 1.0
    if case["masked"]:
        d["mask"] = rng.random((STEPS, ROWS, outputs)) < 0.6
        at = 0
        for n in case["sizes"]:
            d["mask"][..., at + rng.integers(n)] = True
            at += n
    if case["action"] == "gaussian":
        mean, s = gaussian(p, case, policy_and_value(p, case, d)[0])
        d["raw"] = f32(mean + np.exp(s) * rng.normal(size=mean.shape))
    else:
        raw, at = [], 0
        for n in case["sizes"]:
            weight = rng.random((STEPS, ROWS, n)) * d["mask"][..., at:at + n]
            raw.append(weight.argmax(-1))
            at += n
        d["raw"] = np.stack(raw, -1).astype(np.float64)
    # Old probabilities on both sides of the clip range and within it.
    log_p, _ = log_prob_and_entropy(p, case, policy_and_value(p, case, d)[0], d["raw"], d["mask"])
    d["log_prob"] = f32(log_p + rng.normal(size=log_p.shape) * 0.3)
    # As they are once some gradient steps were made: values that were clipped, and some that were not.
    d["old_value"] = f32(before(p, case, d)[0] + rng.normal(size=(STEPS, ROWS)) * 0.4)
    return d


BASE = dict(algorithm="ppo", action="categorical", sizes=[4], masked=False, hidden=[5, 4], activation="tanh",
            shared_trunk=False, memory=0, value_clip=None, entropy_coef=0.0, value_coef=0.5, normalize_advantage=True,
            gae_lambda=0.8, baseline=True, deviation="free", value_moments=None, normalize_value=False, at=list(range(STEPS * ROWS)))
SOME = [5, 0, 17, 9, 34, 22, 3, 12]
MULTI = dict(action="multi-discrete", sizes=[2, 3], masked=True)
GAUSSIAN = dict(action="gaussian", sizes=[2])
STATE = dict(**GAUSSIAN, deviation="state")
VALUES = dict(normalize_value=True, value_moments=dict(count=50.0, mean=[0.75], variance=[2.25]))
CASES = {
    "ppo categorical": {},
    "ppo categorical, masked, a minibatch": dict(masked=True, at=SOME, entropy_coef=0.02),
    "ppo multi-discrete, masked, value clip": dict(**MULTI, value_clip=0.1, entropy_coef=0.01),
    "ppo gaussian, entropy, relu": dict(**GAUSSIAN, entropy_coef=0.05, activation="relu"),
    "ppo gaussian, shared trunk, a minibatch": dict(**GAUSSIAN, shared_trunk=True, at=SOME, value_clip=0.5),
    "ppo categorical, shared trunk, advantages as they are": dict(shared_trunk=True, normalize_advantage=False, gae_lambda=1.0),
    "ppo recurrent": dict(memory=3, hidden=[4], entropy_coef=0.01, at=list(range(ROWS))),
    "ppo recurrent, masked, two rows": dict(**MULTI, memory=3, hidden=[4], value_clip=0.3, at=[2, 0]),
    "ppo recurrent, gaussian": dict(**GAUSSIAN, memory=2, hidden=[], at=[3, 1, 0]),
    "a2c categorical": dict(algorithm="a2c", gae_lambda=1.0, normalize_advantage=False, entropy_coef=0.01),
    "a2c multi-discrete, masked": dict(algorithm="a2c", **MULTI, entropy_coef=0.03),
    "a2c gaussian, shared trunk": dict(algorithm="a2c", **GAUSSIAN, shared_trunk=True, value_coef=0.25),
    "reinforce categorical": dict(algorithm="reinforce"),
    "reinforce multi-discrete, masked": dict(algorithm="reinforce", **MULTI, entropy_coef=0.02),
    "reinforce gaussian, no baseline": dict(algorithm="reinforce", **GAUSSIAN, baseline=False),
    "ppo gaussian, deviation of the state, entropy": dict(**STATE, entropy_coef=0.05, activation="relu"),
    "ppo gaussian, deviation of the state, shared trunk, normalised values, value clip, a minibatch": dict(
        **STATE, **VALUES, shared_trunk=True, at=SOME, value_clip=0.3),
    "ppo categorical, masked, normalised values": dict(**VALUES, masked=True),
    "ppo recurrent, deviation of the state, normalised values": dict(
        **STATE, **VALUES, memory=3, hidden=[4], entropy_coef=0.01, value_clip=0.5, at=[3, 1, 0]),
}


def main():
    out = []
    for number, (name, changes) in enumerate(CASES.items()):
        case = {**BASE, **changes}
        rng = np.random.default_rng(number)
        p = parameters(rng, case)
        d = data(rng, case, p)
        loss, known = {"ppo": ppo, "a2c": a2c, "reinforce": reinforce}[case["algorithm"]](case, d, p)
        total, parts = loss(p)
        gradient = {}
        for key, value in p.items():
            slope = np.zeros(value.size)
            for i in range(value.size):
                moved = [{**p, key: (value.ravel() + s * STEP * (np.arange(value.size) == i)).reshape(value.shape)} for s in (1, -1)]
                slope[i] = (loss(moved[0])[0] - loss(moved[1])[0]) / (2 * STEP)
            gradient[key] = slope
        flat = lambda table: {k: [float(f"{x:.10g}") for x in np.ravel(v)] for k, v in table.items()}
        d["mask"] = d["mask"].astype(float)
        out.append({"name": name, **case, "parameters": flat(p), "data": flat(d), "parts": [float(x) for x in parts],
                    "known": flat(known), "gradient": flat(gradient)})
    lines = ",\n".join(json.dumps(case) for case in out)
    print(json.dumps({"steps": STEPS, "rows": ROWS, "obs": OBS, "gamma": GAMMA, "clip": CLIP})[:-1] + f',\n"cases": [\n{lines}\n]}}')


main()
