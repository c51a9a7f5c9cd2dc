"""What Hugging Face's transformers makes of small models: the reference of lm/tests/logits.rs.

    check_transformers.py references DIR          writes DIR/qwen2.json and DIR/llama.json, which are kept with the tests
    check_transformers.py logits MODEL TOKEN...   prints, as JSON, the logits after every token of the model in a folder
    check_transformers.py write DIR qwen2|llama   writes a model that transformers itself initializes, in several shards

Weights of the references are not kept: both sides compute them. Tensor number t (in the order of ModelConfig::tensors) has as element i,
counted row by row, u = mix64(t * 2^32 + i) / 2^64 (its upper 24 bits), where mix64 is the finalizer of SplitMix64; weights and biases are
0.6 (u - 0.5), norms 1 + 0.4 (u - 0.5). Needs torch and transformers (written with 2.11.0 and 5.23.0).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

QWEN2 = dict(
    vocab_size=97, hidden_size=48, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, intermediate_size=80,
    rope_theta=1e6, rms_norm_eps=1e-6, max_position_embeddings=256, tie_word_embeddings=True, eos_token_id=96, bos_token_id=None,
)
LLAMA = dict(
    vocab_size=83, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1, head_dim=32,
    intermediate_size=104, rope_theta=1e4, rms_norm_eps=1e-5, max_position_embeddings=256, tie_word_embeddings=False, eos_token_id=82,
    bos_token_id=0,
    rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64),
)
FAMILIES = {"qwen2": (QWEN2, Qwen2Config, Qwen2ForCausalLM), "llama": (LLAMA, LlamaConfig, LlamaForCausalLM)}
LENGTH = 48
KEPT = [0, 1, 6, 17, 47]
NEW_TOKENS = 16


def uniform(tensor, count):
    z = np.uint64(tensor << 32) + np.arange(count, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)


def names(config):
    """Tensors in the order of ModelConfig::tensors."""
    yield "model.embed_tokens.weight"
    for layer in range(config.num_hidden_layers):
        path = f"model.layers.{layer}."
        for module in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]:
            yield f"{path}{module}.weight"
            if config.model_type == "qwen2" and module[-6] in "qkv" and "attn" in module:
                yield f"{path}{module}.bias"
        yield path + "input_layernorm.weight"
        yield path + "post_attention_layernorm.weight"
    yield "model.norm.weight"
    if not config.tie_word_embeddings:
        yield "lm_head.weight"


def computed(family):
    """A family's model with the computed weights."""
    keys, config, architecture = FAMILIES[family]
    config = config(**keys)
    model = architecture(config).eval()
    state = model.state_dict()
    for number, name in enumerate(names(config)):
        u = uniform(number, state[name].numel()) - np.float32(0.5)
        values = 1 + np.float32(0.4) * u if name.endswith("norm.weight") else np.float32(0.6) * u
        state[name].copy_(torch.from_numpy(values).view(state[name].shape))
    return model


@torch.no_grad()
def references(folder):
    for family, (keys, _, _) in FAMILIES.items():
        model = computed(family)
        tokens = [(i * i * 7 + 3 * i + 1) % keys["vocab_size"] for i in range(LENGTH)]
        ids = torch.tensor([tokens])
        logits = model(ids).logits[0]
        answer = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None, pad_token_id=0
        )[0, LENGTH:]
        record = {
            "config": keys,
            "tokens": tokens,
            "positions": KEPT,
            "logits": [[round(x, 5) for x in logits[p].tolist()] for p in KEPT],
            "greedy": answer.tolist(),
        }
        lines = [f'"{key}": {json.dumps(value)}' for key, value in record.items()]
        (Path(folder) / f"{family}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


@torch.no_grad()
def logits(folder, tokens):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    print(json.dumps(model(torch.tensor([[int(t) for t in tokens]])).logits[0].tolist()))


def write(folder, family):
    keys, config, architecture = FAMILIES[family]
    torch.manual_seed(1)
    model = architecture(config(**{**keys, "initializer_range": 0.15}))
    model.save_pretrained(folder, max_shard_size="30KB")


def main(command, *arguments):
    match command:
        case "references":
            references(*arguments)
        case "logits":
            logits(arguments[0], arguments[1:])
        case "write":
            write(*arguments)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["help"]))
