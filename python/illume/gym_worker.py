"""Any Gymnasium environment as a task: genomes are the weights of a perceptron that acts in it.

    python -m illume.gym_worker Pendulum-v1 --descriptor final:0,1 --hidden 32

serves as ``task.command``; ``gym`` is the same for a program of one's own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Sequence, Union

import numpy as np

from .worker import axis, worker

#: Geoms of the feet of Gymnasium's walkers, for the descriptor "feet".
FEET = {
    "Walker2d": ["foot_geom", "foot_left_geom"],
    "HalfCheetah": ["ffoot", "bfoot"],
    "Hopper": ["foot_geom"],
    "Ant": ["left_ankle_geom", "right_ankle_geom", "third_ankle_geom", "fourth_ankle_geom"],
    "Humanoid": ["right_foot", "left_foot"],
}


@dataclass
class Episode:
    """What happened in an episode of T steps.

    env: the environment, as the last step left it (``env.unwrapped.data`` has MuJoCo's state).
    observations: f32 ``[T + 1, m]``; actions: as the environment got them, ``[T, ...]``; rewards: f64 ``[T]``; infos: of the reset and each step, ``T + 1``.
    terminated: whether the environment ended it, not its time limit. failed: whether it raised an exception.
    contacts: ``[T, feet]`` bools, for the descriptor "feet" alone.
    """

    env: Any
    observations: Any = field(default_factory=list)
    actions: Any = field(default_factory=list)
    rewards: Any = field(default_factory=list)
    infos: list[dict[str, Any]] = field(default_factory=list)
    terminated: bool = False
    failed: bool = False
    contacts: Any = field(default_factory=list)

    @property
    def steps(self) -> int:
        return len(self.rewards)


Descriptor = Union[None, str, tuple[Callable[[Episode], Sequence[float]], Sequence[Any]]]


class NumpyPolicies:
    """Perceptrons of one shape, one for each genome, where the compiled part is not there: it is quicker, and acts as in illume's own tasks, bit for bit."""

    def __init__(self, layers: Sequence[int], relu: bool, linear: bool, genomes: np.ndarray):
        self._relu, self._linear, self._rows = relu, linear, [-1]
        self._all, at = [], 0
        for inputs, outputs in zip(layers, layers[1:]):
            weights = genomes[:, at : at + inputs * outputs].reshape(-1, inputs, outputs)
            at += inputs * outputs
            self._all.append((weights, genomes[:, at : at + outputs]))
            at += outputs

    def act(self, rows: list[int], observations: np.ndarray) -> np.ndarray:
        """Outputs ``[r, outputs]`` of the genomes numbered `rows` ``[r]`` for their observations ``[r, inputs]``."""
        if rows != self._rows:
            self._rows, self._layers = rows, [(weights[rows], biases[rows]) for weights, biases in self._all]
        x = observations
        for number, (weights, biases) in enumerate(self._layers):
            x = np.matmul(x[:, None, :], weights)[:, 0, :] + biases
            if number + 1 < len(self._layers):
                x = np.maximum(x, 0) if self._relu else np.tanh(x)
        return x if self._linear else np.tanh(x)


def compiled_policies() -> Any:
    try:
        from ._illume import Policies
    except ImportError:
        return NumpyPolicies
    return Policies


class Episodes:
    """Evaluates genomes in an environment; calls of it give (fitness, descriptor, steps).

    dim: genes of a genome: for each layer the weights, ``[inputs, outputs]`` row by row, then the biases, from input to output, as in illume's own tasks.
    axes: the descriptor's axes.
    """

    def __init__(
        self,
        env: Union[str, Callable[[], Any]],
        *,
        descriptor: Descriptor = None,
        descriptor_bounds: Optional[Sequence[tuple[float, float]]] = None,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        episodes: int = 1,
        max_steps: Optional[int] = None,
        envs: int = 32,
        **keywords: Any,
    ):
        import gymnasium

        if activation not in ("tanh", "relu"):
            raise ValueError(f'activation: expected "tanh" or "relu", got {activation!r}')
        if episodes < 1 or envs < 1 or any(units < 1 for units in hidden):
            raise ValueError("episodes, envs and the units of hidden layers are at least 1")
        if isinstance(env, str):
            limit = {} if max_steps is None else {"max_episode_steps": max_steps}
            self.name, self._make = env, lambda: gymnasium.make(env, **limit, **keywords)
        else:
            self.name, self._make = getattr(env, "__name__", "environment"), env
        self._max_steps = max_steps
        self._spaces = gymnasium.spaces
        self._policies = compiled_policies()
        self._envs = [self._make()]
        self._limit, self.episodes, self.activation = envs, episodes, activation
        seen, acts = self._envs[0].observation_space, self._envs[0].action_space
        self._box = isinstance(seen, gymnasium.spaces.Box)
        self._observation_space = seen
        if isinstance(acts, gymnasium.spaces.Discrete):
            self._choices, outputs, self._first = True, int(acts.n), int(acts.start)
        elif isinstance(acts, gymnasium.spaces.Box):
            self._choices, outputs = False, int(np.prod(acts.shape))
            low, high = acts.low.astype(np.float64), acts.high.astype(np.float64)
            bounded = np.isfinite(low) & np.isfinite(high)
            self._middle = np.where(bounded, (low + high) / 2, 0.0)
            self._half = np.where(bounded, (high - low) / 2, 1.0)
            self._action = acts.dtype
        else:
            raise ValueError(f"{self.name}: its actions are a {type(acts).__name__}; Discrete and Box are understood")
        inputs = int(gymnasium.spaces.flatdim(seen))
        self.layers = [inputs, *(int(units) for units in hidden), outputs]
        self.dim = sum(a * b + b for a, b in zip(self.layers, self.layers[1:]))
        #: Interval of the first genes, which has the variance 1 / (inputs of the widest layer).
        self.init = (-float(np.sqrt(3 / max(self.layers[:-1]))), float(np.sqrt(3 / max(self.layers[:-1]))))
        self._describe, self.axes, self._feet = self._descriptor(descriptor, descriptor_bounds)

    def _descriptor(self, given: Descriptor, bounds: Any) -> tuple[Any, list[dict[str, Any]], list[str]]:
        if given is None:
            return None, [], []
        if not isinstance(given, str):
            describe, axes = given
            return describe, [axis(a) for a in axes], []
        kind, _, which = given.partition(":")
        if kind == "feet":
            feet = [name for name in which.split(",") if name] or FEET.get(self.name.split("-")[0])
            if not feet:
                raise ValueError(f'descriptor: "feet" knows {", ".join(FEET)}; of other robots give the geoms, "feet:NAME,NAME"')
            share = [{"name": f"contact of {name}", "unit": "", "lower": 0.0, "upper": 1.0} for name in feet]
            return (lambda episode: np.mean(episode.contacts, axis=0)), share, feet
        space = {"final": self._observation_space, "mean": self._observation_space, "action": self._envs[0].action_space}.get(kind)
        if space is None or not isinstance(space, self._spaces.Box):
            raise ValueError(
                'descriptor: expected "final:I,J" (of the last observation), "mean:I,J" (over the episode), "action:I,J" (mean action), "feet", '
                f"or (function, axes), got {given!r} for {self.name}"
            )
        size = int(np.prod(space.shape))
        try:
            at = [int(i) for i in which.split(",")]
        except ValueError:
            at = [-1]
        if not all(0 <= i < size for i in at):
            raise ValueError(f"descriptor: {given!r} names no numbers of 0 to {size - 1}")
        low, high = space.low.ravel(), space.high.ravel()
        axes = []
        for i, (lower, upper) in zip(at, zip(low[at], high[at]) if bounds is None else pairs(bounds, len(at))):
            if not (np.isfinite(lower) and np.isfinite(upper) and lower < upper):
                raise ValueError(f"descriptor: number {i} of {self.name} has no finite bounds: give descriptor_bounds=[(lower, upper), ...]")
            word = {"final": "last observation", "mean": "mean observation", "action": "mean action"}[kind]
            axes.append({"name": f"{word} {i}", "unit": "", "lower": float(lower), "upper": float(upper)})
        if kind == "final":
            return (lambda episode: episode.observations[-1][at]), axes, []
        if kind == "mean":
            return (lambda episode: np.asarray(episode.observations, np.float64).mean(axis=0)[at]), axes, []
        return (lambda episode: np.asarray(episode.actions, np.float64).reshape(episode.steps, -1).mean(axis=0)[at]), axes, []

    def __call__(self, genomes: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Genomes ``[n, dim]`` and seeds ``[n]``: mean sum of rewards ``[n]`` over the episodes, mean descriptor ``[n, k]``, steps of all of them ``[n]``."""
        genomes = np.asarray(genomes, dtype=np.float32).reshape(-1, self.dim)
        n, e, k = len(genomes), self.episodes, len(self.axes)
        fitness, descriptor, steps = np.empty((n, e)), np.empty((n, e, k)), np.empty((n, e))
        slots = [(row, number) for row in range(n) for number in range(e)]
        for at in range(0, len(slots), self._limit):
            part = slots[at : at + self._limit]
            played = self._play(genomes[[row for row, _ in part]], [episode_seed(int(seeds[row]), number) for row, number in part])
            for (row, number), episode in zip(part, played):
                descriptor[row, number] = np.nan
                if k > 0 and not episode.failed:
                    try:
                        descriptor[row, number] = self._describe(episode)
                    except Exception as error:
                        self._fail(episode, error)
                fitness[row, number] = np.nan if episode.failed else np.sum(episode.rewards)
                steps[row, number] = episode.steps
        return fitness.mean(axis=1), descriptor.mean(axis=1), steps.sum(axis=1)

    def _play(self, genomes: np.ndarray, seeds: list[int]) -> list[Episode]:
        """An episode of each genome, all stepped together."""
        while len(self._envs) < len(genomes):
            self._envs.append(self._make())
        episodes: list[Episode] = []
        for env, seed in zip(self._envs, seeds):
            episode = Episode(env)
            episodes.append(episode)
            try:
                observation, info = env.reset(seed=seed)
                episode.observations.append(self._flat(observation))
                episode.infos.append(info)
            except Exception as error:
                self._fail(episode, error)
        running = np.array([i for i, episode in enumerate(episodes) if not episode.failed], dtype=int)
        policies = self._policies(self.layers, self.activation == "relu", self._choices, genomes)
        feet = [foot_geoms(env, self._feet) for env in self._envs[: len(genomes)]] if self._feet else []
        while len(running) > 0:
            outputs = policies.act(running.tolist(), np.stack([episodes[i].observations[-1] for i in running]))
            going = np.ones(len(running), dtype=bool)
            for place, i in enumerate(running):
                episode = episodes[i]
                action = self._chosen(outputs[place])
                try:
                    observation, reward, terminated, truncated, info = episode.env.step(action)
                except Exception as error:
                    self._fail(episode, error)
                    going[place] = False
                    continue
                episode.observations.append(self._flat(observation))
                episode.actions.append(action)
                episode.rewards.append(float(reward))
                episode.infos.append(info)
                if self._feet:
                    episode.contacts.append(touching(episode.env, *feet[i]))
                episode.terminated = bool(terminated)
                going[place] = not (terminated or truncated or episode.steps == self._max_steps)
            running = running[going]
        for episode in episodes:
            episode.observations, episode.actions = np.array(episode.observations), np.array(episode.actions)
            episode.rewards, episode.contacts = np.array(episode.rewards), np.array(episode.contacts)
        return episodes

    def _fail(self, episode: Episode, error: Exception) -> None:
        """An episode whose environment or descriptor raised an exception takes its own row with it, and no other."""
        print(f"{self.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        episode.failed = True

    def _flat(self, observation: Any) -> np.ndarray:
        if not self._box:
            observation = self._spaces.flatten(self._observation_space, observation)
        return np.asarray(observation, dtype=np.float32).ravel()

    def _chosen(self, outputs: np.ndarray) -> Any:
        if self._choices:
            return self._first + int(np.argmax(outputs))
        return (self._middle + self._half * outputs.astype(np.float64).reshape(self._half.shape)).astype(self._action)


def pairs(bounds: Any, count: int) -> list[tuple[float, float]]:
    """So many intervals."""
    try:
        found = [(float(lower), float(upper)) for lower, upper in bounds]
    except (TypeError, ValueError):
        found = []
    if len(found) != count:
        raise ValueError(f"descriptor_bounds: expected [(lower, upper), ...] for {count} axes, got {bounds!r}")
    return found


def episode_seed(seed: int, number: int) -> int:
    """The seed of an episode: the first has the row's own."""
    return seed % 2**63 if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def foot_geoms(env: Any, names: list[str]) -> tuple[int, list[int]]:
    """Numbers of the floor's geom and of the feet's."""
    model = env.unwrapped.model
    return model.geom("floor").id, [model.geom(name).id for name in names]


def touching(env: Any, floor: int, feet: list[int]) -> list[bool]:
    """Which feet touch the floor."""
    data = env.unwrapped.data
    pairs = {tuple(sorted(pair)) for pair in data.contact.geom[: data.ncon].tolist()}
    return [tuple(sorted((floor, foot))) in pairs for foot in feet]


def gym(
    env: Union[str, Callable[[], Any]],
    *,
    descriptor: Descriptor = None,
    descriptor_bounds: Optional[Sequence[tuple[float, float]]] = None,
    hidden: Sequence[int] = (64, 64),
    activation: str = "tanh",
    episodes: int = 1,
    max_steps: Optional[int] = None,
    envs: int = 32,
    qd_offset: Optional[float] = None,
    deterministic: bool = False,
    batch: int = 16,
    frames: str = "binary",
    requests: Any = None,
    answers: Any = None,
    **keywords: Any,
) -> None:
    """Serves a Gymnasium environment as ``task.command``: fitness is the mean sum of rewards.

    env: its id, or a function that makes one.
    descriptor: ``"final:I,J"`` (numbers of the last observation), ``"mean:I,J"`` (over the episode), ``"action:I,J"`` (mean action), ``"feet"`` (share of the
        steps in which each foot of a MuJoCo walker touches the floor; ``"feet:GEOM,GEOM"``), or ``(function, axes)`` with a function of an `Episode` and axes
        ``("name", lower, upper)``; averaged over episodes.
    descriptor_bounds: bounds of the axes where the observations have none, ``[(lower, upper), ...]``.
    hidden, activation: of the policy: units of the hidden layers, ``"tanh"`` or ``"relu"``. Outputs pass through tanh and are scaled to the bounds of the
        actions; of a Discrete environment's actions the largest output chooses.
    episodes: for each genome; max_steps: of an episode, default the environment's own limit.
    envs: environments that are stepped together at most; batch: genomes of a request.
    deterministic: True if the environment ignores its seed.
    keywords: of the environment.
    """
    played = Episodes(
        env,
        descriptor=descriptor,
        descriptor_bounds=descriptor_bounds,
        hidden=hidden,
        activation=activation,
        episodes=episodes,
        max_steps=max_steps,
        envs=envs,
        **keywords,
    )
    serve(played, qd_offset, deterministic, batch, frames, requests, answers)


def serve(
    played: Episodes,
    qd_offset: Optional[float] = None,
    deterministic: bool = False,
    batch: int = 16,
    frames: str = "binary",
    requests: Any = None,
    answers: Any = None,
) -> None:
    """Serves episodes as ``task.command``; parameters as `gym` has them."""
    worker(
        played.__call__,
        dim=played.dim,
        init=played.init,
        descriptor=played.axes,
        fitness="sum of rewards",
        qd_offset=qd_offset,
        deterministic=deterministic,
        batch=batch,
        frames=frames,
        vectorized=True,
        steps=True,
        requests=requests,
        answers=answers,
    )


def main(arguments: Optional[Sequence[str]] = None) -> None:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m illume.gym_worker", description="Serves a Gymnasium environment as illume's task.command.")
    parser.add_argument("env", help="id of the environment, Pendulum-v1 say")
    parser.add_argument("--descriptor", help='"final:I,J", "mean:I,J", "action:I,J", "feet" or "feet:GEOM,GEOM"; default none')
    parser.add_argument("--descriptor-bounds", type=json.loads, help="[[lower, upper], ...] where the observations have no bounds")
    parser.add_argument("--hidden", default="64,64", help="units of the hidden layers; default 64,64")
    parser.add_argument("--activation", default="tanh", help="tanh or relu; default tanh")
    parser.add_argument("--episodes", type=int, default=1, help="for each genome; default 1")
    parser.add_argument("--max-steps", type=int, help="of an episode; default the environment's own limit")
    parser.add_argument("--envs", type=int, default=32, help="environments that are stepped together at most; default 32")
    parser.add_argument("--qd-offset", type=float, help="added to each fitness in the QD score")
    parser.add_argument("--deterministic", action="store_true", help="the environment ignores its seed")
    parser.add_argument("--batch", type=int, default=16, help="genomes of a request; default 16")
    parser.add_argument("--frames", choices=("binary", "json"), default="binary")
    parser.add_argument("--keywords", type=json.loads, default={}, help="of the environment, as JSON")
    given = vars(parser.parse_args(arguments))
    serving = {name: given.pop(name) for name in ("qd_offset", "deterministic", "batch", "frames")}
    try:
        given["hidden"] = layers(given["hidden"])
        played = Episodes(given.pop("env"), **given.pop("keywords"), **given)
    except ValueError as error:
        parser.error(str(error))
    serve(played, **serving)


def layers(hidden: str) -> list[int]:
    """Units of hidden layers, ``64,64``; none for a policy without."""
    try:
        return [int(units) for units in hidden.split(",") if units]
    except ValueError:
        raise ValueError(f"hidden: expected units of layers such as 64,64, got {hidden!r}") from None


if __name__ == "__main__":
    main()
