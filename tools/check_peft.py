"""What Hugging Face's peft makes of adapters: the reference of lm/tests/peft.rs.

    check_peft.py write MODEL DIR KIND...         peft itself writes adapters of the model, with random factors, to DIR/KIND; kinds are below
    check_peft.py config MODEL                    prints the adapter_config.json that peft writes (kept with the tests)
    check_peft.py deltas MODEL ADAPTER...         prints, as a JSON list, what each adapter adds to each weight, by the weight's name
    check_peft.py logits MODEL ADAPTER TOKEN...   prints, as JSON, the logits after every token of the model with the adapter

MODEL and ADAPTER are folders. Needs torch, transformers and peft (written with 2.11.0, 5.23.0 and 0.21.2).
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
KINDS = {
    "attention": dict(r=4, lora_alpha=8, target_modules=ATTENTION),
    "all": dict(r=3, lora_alpha=5.5, target_modules=[*ATTENTION, "gate_proj", "up_proj", "down_proj"], use_rslora=True),
    "layers": dict(r=2, lora_alpha=2, target_modules=["q_proj", "v_proj"], layers_to_transform=[1]),
    "dora": dict(r=2, lora_alpha=2, target_modules=["q_proj"], use_dora=True),
    "saved": dict(r=2, lora_alpha=2, target_modules=["q_proj"], modules_to_save=["lm_head"]),
    "ranks": dict(r=2, lora_alpha=2, target_modules=["q_proj", "v_proj"], rank_pattern={"v_proj": 4}),
    "alphas": dict(r=2, lora_alpha=2, target_modules=["q_proj", "v_proj"], alpha_pattern={"v_proj": 4}),
    "bias": dict(r=2, lora_alpha=2, target_modules=["q_proj"], bias="lora_only"),
    "pissa": dict(r=2, lora_alpha=2, target_modules=["q_proj"], init_lora_weights="pissa"),
    "embedding": dict(r=2, lora_alpha=2, target_modules=["q_proj", "embed_tokens"]),
}


def base(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def write(model, adapter, kind):
    torch.manual_seed(3)
    adapted = get_peft_model(base(model), LoraConfig(task_type="CAUSAL_LM", **KINDS[kind]))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(0.0, 0.2)
    adapted.save_pretrained(adapter)


def load(model, adapter):
    adapted = PeftModel.from_pretrained(base(model), adapter)
    # peft only warns about what it does not find, and leaves it as it was made.
    found = {name.replace(".default", "") for name, _ in adapted.named_parameters() if "lora_" in name}
    from safetensors import safe_open

    with safe_open(Path(adapter) / "adapter_model.safetensors", "pt") as file:
        assert found == set(file.keys()), found ^ set(file.keys())
    return adapted.eval()


def deltas(adapted):
    for name, module in adapted.named_modules():
        if hasattr(module, "get_delta_weight") and "default" in getattr(module, "lora_A", {}):
            yield name.removeprefix("base_model.model."), module.get_delta_weight("default").flatten().tolist()


def main(command, *arguments):
    if command == "write":
        for kind in arguments[2:]:
            write(arguments[0], Path(arguments[1]) / kind, kind)
    elif command == "config":
        with tempfile.TemporaryDirectory() as folder:
            write(arguments[0], folder, "attention")
            config = json.loads((Path(folder) / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "a/model"
        config["target_modules"].sort()
        print(json.dumps(config, indent=2))
    elif command == "deltas":
        print(json.dumps([dict(deltas(load(arguments[0], adapter))) for adapter in arguments[1:]]))
    elif command == "logits":
        adapted = load(*arguments[:2])
        tokens = torch.tensor([[int(t) for t in arguments[2:]]])
        with torch.no_grad():
            print(json.dumps(adapted(tokens).logits[0].tolist()))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
