"""Modules that authors' programs on qdax ask for by their types alone: brax, chex and jumanji. Import this before qdax."""

import sys
import types


def stand_in(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


stand_in("brax", envs=stand_in("brax.envs", State=object, Env=object))
stand_in("chex", ArrayTree=object)
stand_in("jumanji", types=stand_in("jumanji.types", TimeStep=object))
