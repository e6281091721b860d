#!/usr/bin/env python3
"""One measurement of one peer, for side_by_side.py; prints a JSON line {"value": …}."""

import argparse
import json
import time

SECONDS = 2.0


def rate(step, per_call, seconds=SECONDS):
    for _ in range(10):
        step()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        calls += 1
    return calls * per_call / (time.perf_counter() - start)


def step_gymnasium(n=1024):
    import gymnasium
    import numpy as np

    env = gymnasium.make_vec("CartPole-v1", num_envs=n, vectorization_mode="vector_entry_point")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = [rng.integers(0, 2, n) for _ in range(64)]
    turn = iter(range(10**12))
    return rate(lambda: env.step(actions[next(turn) % 64]), n)


def step_envpool(n=1024):
    import envpool
    import numpy as np

    env = envpool.make("CartPole-v1", env_type="gymnasium", num_envs=n, num_threads=1)
    env.reset()
    actions = np.random.default_rng(0).integers(0, 2, n).astype(np.int32)
    return rate(lambda: env.step(actions), n)


def step_gymnax(n=1024):
    import gymnax
    import jax

    env, params = gymnax.make("CartPole-v1")

    def one(carry, _):
        key, state = carry
        key, k1, k2 = jax.random.split(key, 3)
        action = jax.random.randint(k1, (n,), 0, 2)
        state = jax.vmap(env.step, in_axes=(0, 0, 0, None))(jax.random.split(k2, n), state, action, params)[1]
        return (key, state), None

    @jax.jit
    def many(carry):
        return jax.lax.scan(one, carry, None, 200)[0]

    key = jax.random.PRNGKey(0)
    carry = (key, jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key, n), params)[1])

    def call():
        nonlocal carry
        carry = many(carry)
        jax.block_until_ready(carry)

    return rate(call, 200 * n)


def spiel_search(game, rollouts, simulations):
    """OpenSpiel's C++ tree search; with one simulation of many rollouts, its rollouts from the beginning."""
    import pyspiel

    game = pyspiel.load_game(game)
    state = game.new_initial_state()
    while state.is_chance_node():  # a search cannot begin with a roll
        state.apply_action(state.chance_outcomes()[0][0])
    evaluator = pyspiel.RandomRolloutEvaluator(rollouts, 1)
    bot = pyspiel.MCTSBot(game, evaluator, 2.0, simulations, 1000, False, 1, False)
    return rate(lambda: bot.mcts_search(state), rollouts * simulations)


def sb3_zoo(seed, callback_every=None):
    """SB3 with rl-zoo3's CartPole settings."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)
    env = make_vec_env("CartPole-v1", n_envs=8, seed=seed)
    settings = dict(n_steps=32, batch_size=256, n_epochs=20, gae_lambda=0.8, gamma=0.98, ent_coef=0.0)
    return PPO("MlpPolicy", env, learning_rate=lambda p: 0.001 * p, clip_range=lambda p: 0.2 * p, seed=seed, device="cpu", **settings)


def ppo_sb3_zoo(seed):
    model = sb3_zoo(seed)
    model.learn(256)
    start = time.perf_counter()
    model.learn(20_000)
    return 20_000 / (time.perf_counter() - start)


def target_sb3_zoo(seed):
    """Seconds from the start of this process, imports included, evaluations included."""
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    class Until(BaseCallback):
        reached = None

        def _on_step(self):
            if self.num_timesteps % 2048 < 8:
                mean, _ = evaluate_policy(self.model, eval_env, n_eval_episodes=20, deterministic=True)
                if mean >= 475:
                    self.reached = time.time() - STARTED
                    return False
            return True

    eval_env = make_vec_env("CartPole-v1", n_envs=20, seed=1000 + seed)
    until = Until()
    sb3_zoo(seed).learn(100_000, callback=until)
    if until.reached is None:
        raise SystemExit("not reached")
    return until.reached


def dqn_sb3_zoo(seed):
    """SB3's gradient steps a second with rl-zoo3's CartPole settings, two threads."""
    import torch
    from stable_baselines3 import DQN
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(2)
    settings = dict(learning_rate=2.3e-3, batch_size=64, buffer_size=100_000, learning_starts=1000, gamma=0.99)
    settings |= dict(target_update_interval=10, train_freq=256, gradient_steps=128, exploration_fraction=0.16)
    settings |= dict(exploration_final_eps=0.04, policy_kwargs=dict(net_arch=[256, 256]))
    model = DQN("MlpPolicy", make_vec_env("CartPole-v1", seed=seed), seed=seed, device="cpu", **settings)
    model.learn(2000)
    start = time.perf_counter()
    for _ in range(20):
        model.train(gradient_steps=128, batch_size=64)
    return 20 * 128 / (time.perf_counter() - start)


def sac_sb3(seed):
    """SB3's gradient steps a second of SAC on Pendulum: two hidden layers of 256, minibatches of 256, two threads."""
    import torch
    from stable_baselines3 import SAC
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(2)
    model = SAC("MlpPolicy", make_vec_env("Pendulum-v1", seed=seed), seed=seed, device="cpu", learning_starts=1000)
    model.learn(1000)
    model.train(gradient_steps=20, batch_size=256)
    start = time.perf_counter()
    model.train(gradient_steps=500, batch_size=256)
    return 500 / (time.perf_counter() - start)


def ppo_torch(seed, steps=40_000, n=4, length=128):
    """A single-file PPO in CleanRL's form and with its settings, two 64x64 tanh networks."""
    import gymnasium
    import numpy as np
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    envs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * n)
    net = lambda out: nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, out))
    actor, critic = net(2), net(1)
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2.5e-4, eps=1e-5)
    obs, actions, log_probs, rewards, dones, values = (
        torch.zeros(length, n, *shape) for shape in [(4,), (), (), (), (), ()]
    )
    now, done = torch.tensor(envs.reset(seed=seed)[0]), torch.zeros(n)
    start = None
    for iteration in range(steps // (n * length) + 1):
        if iteration == 1:
            start = time.perf_counter()
        for t in range(length):
            obs[t], dones[t] = now, done
            with torch.no_grad():
                pi = torch.distributions.Categorical(logits=actor(now))
                action = pi.sample()
                actions[t], log_probs[t], values[t] = action, pi.log_prob(action), critic(now).flatten()
            seen, reward, terminated, truncated, _ = envs.step(action.numpy())
            rewards[t] = torch.tensor(reward)
            now, done = torch.tensor(seen), torch.tensor(np.logical_or(terminated, truncated), dtype=torch.float32)
        with torch.no_grad():
            following, last, advantages = critic(now).flatten(), 0, torch.zeros(length, n)
            for t in reversed(range(length)):
                alive = 1 - (done if t == length - 1 else dones[t + 1])
                nxt = following if t == length - 1 else values[t + 1]
                last = rewards[t] + 0.99 * nxt * alive - values[t] + 0.99 * 0.95 * alive * last
                advantages[t] = last
        returns = advantages + values
        flat = [x.reshape(-1, *x.shape[2:]) for x in (obs, actions, log_probs, advantages, returns)]
        for _ in range(4):
            order = torch.randperm(n * length)
            for part in order.split(n * length // 4):
                o, a, lp, adv, ret = (x[part] for x in flat)
                pi = torch.distributions.Categorical(logits=actor(o))
                ratio = (pi.log_prob(a) - lp).exp()
                adv = (adv - adv.mean()) / (adv.std() + 1e-8)
                policy = torch.max(-adv * ratio, -adv * ratio.clamp(0.8, 1.2)).mean()
                loss = policy - 0.01 * pi.entropy().mean() + 0.5 * ((critic(o).flatten() - ret) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 0.5)
                optimizer.step()
    return iteration * n * length / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["step", "playout", "mcts", "ppo", "dqn", "sac", "target"])
    parser.add_argument("who")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.what == "playout":
        return print(json.dumps({"value": spiel_search(args.who, 100, 1)}))
    if args.what == "mcts":
        return print(json.dumps({"value": spiel_search(args.who, 1, 2000)}))
    name = f"{args.what}_{args.who.replace('-', '_')}"
    known = globals().get(name)
    if known is None:
        raise SystemExit(f"no measurement is called {name}")
    value = known() if args.what == "step" else known(args.seed)
    print(json.dumps({"value": value}))


if __name__ == "__main__":
    STARTED = time.time()
    try:  # the process is older than this line
        import psutil

        STARTED = psutil.Process().create_time()
    except ImportError:
        pass
    main()
