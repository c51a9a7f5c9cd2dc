"""Lets the emitters of QDax learn from drawn transitions and writes down what went in and what became of their networks.

Usage: check_qdax.py FOLDER. It needs `qdax==0.5.0` with `brax==0.12.3 "jax<0.6" "jaxlib<0.6" tensorflow-probability==0.25.0`. The files that the tests of
`learn` repeat number by number are strategies/tests/data/qdax_pga_me.txt and qdax_dcrl_me.txt; run this again to see that another version writes the same.

Everything is done by the emitters' own methods (`_scan_actor_critic_training`, `emit_pg`, `_critic_loss_fn`), never by copies of them: this script draws
networks and transitions, hands them over, and follows the random keys to know the noise and the rows that the emitters draw. The one thing that is arranged:
QDax draws a third minibatch for the actor's step, ours takes the minibatch of the critics' last step, so the buffer below says the second one twice.
"""

import os
import sys

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import importlib.metadata

import jax
import jax.numpy as jnp
import numpy as np
from qdax.core.emitters.dcrl_emitter import DCRLConfig, DCRLEmitter, DCRLEmitterState
from qdax.core.emitters.qpg_emitter import QualityPGConfig, QualityPGEmitter, QualityPGEmitterState
from qdax.core.neuroevolution.buffers.buffer import DCRLTransition, QDTransition, ReplayBuffer
from qdax.core.neuroevolution.networks.networks import MLP, MLPDC

OBSERVATION, ACTION, CONDITION, HIDDEN, MINIBATCH, ROUNDS, DELAY = 3, 2, 2, (6, 5), 5, 2, 2
CLIMBERS, CLIMB_STEPS, STORED = 2, 4, 12
NUMBERS = dict(critic_learning_rate=1e-2, actor_learning_rate=5e-3, policy_learning_rate=2e-3, discount=0.9, soft_tau_update=0.05, policy_noise=0.3, noise_clip=0.4)
SCALE = 0.7
draw = np.random.default_rng(11)
normal = lambda *shape: jnp.asarray(draw.normal(size=shape), jnp.float32)


class Limits:
    """Of an environment, what the emitter for descriptors asks for: bounds that scaling leaves alone."""

    descriptor_limits, descriptor_length = (-jnp.ones(CONDITION), jnp.ones(CONDITION)), CONDITION


class Fixed:
    """A buffer that holds two minibatches and says the second one twice."""

    def __init__(self, rows):
        self.rows = rows

    def sample(self, key, count):
        assert count == 3 * MINIBATCH
        return jax.tree.map(lambda x: jnp.concatenate([x, x[MINIBATCH:]]), self.rows)


def transitions(conditioned, rows):
    parts = dict(
        obs=normal(rows, OBSERVATION), next_obs=normal(rows, OBSERVATION), rewards=normal(rows), actions=normal(rows, ACTION).clip(-1, 1), truncations=jnp.zeros(rows),
        dones=jnp.asarray(np.arange(rows) % 3 == 0, jnp.float32), state_desc=jnp.zeros((rows, CONDITION)), next_state_desc=jnp.zeros((rows, CONDITION)),
    )
    if conditioned:
        desc = normal(rows, CONDITION).clip(-1, 1)
        return DCRLTransition(**parts, desc=desc, desc_prime=jnp.where(jnp.arange(rows)[:, None] % 2 == 0, desc, desc + 0.3 * normal(rows, CONDITION)))
    return QDTransition(**parts)


def moved(params):
    """Biases that are not zero, and targets that are not their networks."""
    return jax.tree.map(lambda x: x + 0.2 * normal(*x.shape), params)


def flat(params):
    """Layer after layer the weights [inputs, outputs], then the bias."""
    layers = [params[f"Dense_{i}"] for i in range(len(params))]
    return np.concatenate([np.concatenate([np.ravel(layer["kernel"]), layer["bias"]]) for layer in layers])


def noise(key, rows):
    return (jax.random.normal(key, (rows, ACTION)) * NUMBERS["policy_noise"]).clip(-NUMBERS["noise_clip"], NUMBERS["noise_clip"])


def record(conditioned, out):
    def write(name, values):
        print(name, *("%.9g" % v for v in np.ravel(values)), file=out)

    policy = MLP(layer_sizes=HIDDEN + (ACTION,), final_activation=jnp.tanh)
    shared = dict(NUMBERS, critic_hidden_layer_size=HIDDEN, policy_delay=DELAY, batch_size=MINIBATCH, num_pg_training_steps=CLIMB_STEPS)
    observation, action, descriptor = jnp.zeros(OBSERVATION), jnp.zeros(ACTION), jnp.zeros(CONDITION)
    if conditioned:
        actor = MLPDC(layer_sizes=HIDDEN + (ACTION,), final_activation=jnp.tanh)
        emitter = DCRLEmitter(DCRLConfig(**shared, dcrl_batch_size=CLIMBERS, lengthscale=SCALE), policy, actor, Limits)
        inputs, state, module, optimizer = (descriptor,), DCRLEmitterState, "MLPDC_%d", "critic_opt_state"
    else:
        actor = policy
        emitter = QualityPGEmitter(QualityPGConfig(**shared), policy, None)
        inputs, state, module, optimizer = (), QualityPGEmitterState, "MLP_%d", "critic_optimizer_state"
    keys = jax.random.split(jax.random.PRNGKey(5), 3)
    critic = moved(emitter._critic_network.init(keys[0], observation, action, *inputs))
    network = moved(actor.init(keys[1], observation, *inputs))
    now = state(
        critic_params=critic, target_critic_params=moved(critic), actor_params=network, target_actor_params=moved(network), replay_buffer=None, key=keys[2],
        actor_opt_state=emitter._actor_optimizer.init(network), **{optimizer: emitter._critic_optimizer.init(critic)},
    )

    def networks(state):
        write("actor", flat(state.actor_params["params"]))
        write("actor_target", flat(state.target_actor_params["params"]))
        for name, params in [("critic", state.critic_params), ("critic_target", state.target_critic_params)]:
            for j in range(2):
                write(f"{name}{j}", flat(params["params"][module % j]))

    def rows(batch):
        for name, values in [("observation", batch.obs), ("action", batch.actions), ("reward", batch.rewards), ("next_observation", batch.next_obs), ("done", batch.dones)]:
            write(name, values)
        if conditioned:
            write("achieved", batch.desc)
            write("requested", batch.desc_prime)

    print(f"# QDax {importlib.metadata.version('qdax')}: tools/check_qdax.py; shape: observation, action, condition, hidden, minibatch, rounds of two critic steps and one of the actor", file=out)
    print("shape", OBSERVATION, ACTION, CONDITION if conditioned else 0, *HIDDEN, MINIBATCH, ROUNDS, file=out)
    print("# learning rates of critic, actor, climber; discount, tau, length scale", file=out)
    write("numbers", [NUMBERS[k] for k in ["critic_learning_rate", "actor_learning_rate", "policy_learning_rate", "discount", "soft_tau_update"]] + [SCALE])
    networks(now)

    # A target: of critics that say 0 everywhere the loss of one row is 2 y^2, its derivative by the first one's last bias -2 y.
    print("# targets y of two rows by the networks above, with their noise; derivative of the loss by critic 0 where the first row is truncated", file=out)
    batch, key = transitions(conditioned, 2).replace(dones=jnp.asarray([0.0, 1.0])), jax.random.PRNGKey(6)
    rows(batch)
    if conditioned:  # the loss is given rewards that are weighted already
        batch = batch.replace(rewards=batch.rewards * emitter._similarity(batch.desc, batch.desc_prime))
    zero = jax.tree.map(jnp.zeros_like, critic)
    last = lambda gradient: gradient["params"][module % 0][f"Dense_{len(HIDDEN)}"]["bias"][0]

    def derivative(row):
        return last(jax.grad(emitter._critic_loss_fn)(zero, now.target_actor_params, now.target_critic_params, row, key))

    single = [jax.tree.map(lambda x: x[i : i + 1], batch) for i in range(2)]
    write("noise", jnp.concatenate([noise(key, 1)] * 2))
    write("target", [-derivative(row) / 2 for row in single])
    write("truncated", 0.0 + derivative(single[0].replace(truncations=jnp.ones(1))))

    print("# rounds: rows go in, networks come out", file=out)
    for _ in range(ROUNDS):
        batch = transitions(conditioned, DELAY * MINIBATCH)
        rows(batch)
        key, drawn = jax.random.split(now.key)[0], []
        for _ in range(DELAY):
            key, subkey = jax.random.split(key)
            drawn.append(noise(subkey, MINIBATCH))
        write("noise", jnp.concatenate(drawn))
        now, _ = emitter._scan_actor_critic_training(now.replace(replay_buffer=Fixed(batch)), None)
        assert (now.key == key).all(), "the noise is of other keys"
        networks(now)

    print("# policies that climb critic 0 as it is now, towards these descriptors if there are any; states [steps, minibatch, observation]", file=out)
    stored = transitions(conditioned, STORED)
    now = now.replace(replay_buffer=ReplayBuffer.init(STORED, jax.tree.map(lambda x: x[:1], stored)).insert(stored))
    parents = [moved(policy.init(key, observation)) for key in jax.random.split(keys[0], CLIMBERS)]
    for parent in parents:
        write("policy", flat(parent["params"]))
    wanted = normal(CLIMBERS, CONDITION).clip(-1, 1)
    if conditioned:
        write("condition", wanted)
    key, states = now.key, []
    for _ in range(CLIMB_STEPS):
        key, subkey = jax.random.split(key)
        states.append(now.replay_buffer.sample(subkey, MINIBATCH).obs)
    write("states", jnp.stack(states))
    climbed = emitter.emit_pg(now, jax.tree.map(lambda *x: jnp.stack(x), *parents), *([wanted] if conditioned else []))
    for i in range(CLIMBERS):
        write("climbed", flat(jax.tree.map(lambda x: x[i], climbed)["params"]))
    print(out.name, "largest weight", max(abs(flat(now.critic_params["params"][module % 0]))))


for conditioned, name in [(False, "qdax_pga_me.txt"), (True, "qdax_dcrl_me.txt")]:
    with open(os.path.join(sys.argv[1], name), "w") as out:
        record(conditioned, out)
