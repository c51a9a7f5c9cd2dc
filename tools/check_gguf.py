"""What others make of GGUF files: the reference of lm/tests/gguf.rs. Records are written where they are kept, in lm/tests/data.

    check_gguf.py blocks         gguf_blocks.json: bytes of each quantization, and the bits of the numbers that the package gguf makes of them
    check_gguf.py models         gguf_llama.gguf, gguf_qwen2.gguf: small models, written by the package gguf with each quantization in use, and
                                 gguf_models.json: logits and answers of transformers, tokens of llama.cpp
    check_gguf.py real MODEL     gguf_smollm2.json: of SmolLM2-135M-Instruct.Q4_1.gguf (tools/setup smollm2) on 20 prompts, the logits and greedy
                                 answers of transformers, which reads the file by the package gguf; prints how many are llama.cpp's, too
    check_gguf.py folder DIR MODEL   prints whether transformers finds in a folder that `illume lm import` wrote what it finds in the file

Needs torch, transformers, accelerate, gguf and, for llama.cpp, xllamacpp (written with 2.11.0, 5.23.0, 1.15.0, 0.19.0 and 2026.10.11549).
"""

import json
import sys
import tempfile
import unicodedata
import urllib.request
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

DATA = Path(__file__).parent.parent / "lm" / "tests" / "data"
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
# Where the f16 scales of a block lie.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
TEXTS = [
    "Hello world, it's 12345 o'clock!",
    "  two\n\n\n  lines\tand e\u0301mojis \U0001f389 na\u00efve CAN'T\r\n",
    "the then he the<|end|>the",
    "",
]
PROMPTS = [
    "What is the capital of France?", "Name three colours.", "What is 2 + 2?", "Write a haiku about the sea.", "Who wrote Hamlet?",
    "Translate 'good morning' to French.", "What is the boiling point of water?", "List the planets of the solar system.",
    "Why is the sky blue?", "Tell me a joke.", "What is the largest ocean?", "How many days are in a leap year?",
    "What does a compiler do?", "Explain gravity in one sentence.", "What is the opposite of hot?", "Give me a recipe for pancakes.",
    "Who was Albert Einstein?", "What is 15 times 3?", "Write a sentence with the word 'river'.", "What language is spoken in Brazil?",
]
NEW_TOKENS = 24
KEPT = 10


def write_json(name, record):
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in record.items()]
    (DATA / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def random_blocks(kind, count, rng, sizes):
    """Blocks of random bytes whose scales are f16 numbers of about the given sizes."""
    _, size = gguf.GGML_QUANT_SIZES[Type[kind]]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at, scale in zip(SCALES[kind], sizes):
        blocks[:, at : at + 2] = (scale * rng.uniform(-1, 1, (count, 1))).astype("<f2").view(np.uint8)
    return blocks


def blocks():
    rng = np.random.default_rng(1)
    record = {}
    for kind in TYPES:
        if kind in SCALES:
            stored = random_blocks(kind, 2 if kind.endswith("K") else 6, rng, [1.0, 3.0])
        else:
            stored = gguf.quantize(rng.normal(size=(1, 64)).astype(np.float32), Type[kind]).view(np.uint8)
        numbers = gguf.dequantize(stored.reshape(1, -1), Type[kind]).astype("<f4")
        record[kind] = [stored.tobytes().hex(), numbers.tobytes().hex()]
    write_json("gguf_blocks.json", record)


# --- Small models ----------------------------------------------------------------------------------------------------


def byte_letters():
    """GPT-2's letters for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def vocabulary():
    """Tokens, their types and merges: all bytes, a few words, one word that no merges make, special tokens and one that is not used."""
    letters = byte_letters()
    space = letters[32]
    merges = [("h", "e"), ("t", "he"), (space, "the"), ("1", "2"), ("12", "3"), (letters[10], letters[10]), ("'", "s"), ("l", "l"), ("ll", "o")]
    merges += [(space, "w"), ("o", "r"), (space, space)]
    tokens = [letters[b] for b in range(256)] + [a + b for a, b in merges] + ["clock"]
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    for token, kind in [("<|begin|>", "CONTROL"), ("<|end|>", "CONTROL"), ("<|note|>", "USER_DEFINED"), ("[PAD272]", "UNUSED")]:
        tokens.append(token)
        kinds.append(gguf.TokenType[kind])
    return tokens, kinds, [f"{a} {b}" for a, b in merges]


SHAPES = {
    "llama": dict(layers=3, heads=4, kv_heads=2, theta=5e5, eps=1e-5, pre="llama-bpe"),
    "qwen2": dict(layers=1, heads=4, kv_heads=2, theta=1e6, eps=1e-6, pre="qwen2"),
}
HIDDEN, INTERMEDIATE, CONTEXT = 32, 256, 16384
STRETCH = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)


def stretches(theta, head_dim):
    """By what llama.cpp's converter divides the frequencies of Llama 3.1's rotary positions."""
    frequencies = theta ** -(np.arange(0, head_dim, 2) / head_dim)
    turns = STRETCH["original_max_position_embeddings"] * frequencies / (2 * np.pi)
    low, high = STRETCH["low_freq_factor"], STRETCH["high_freq_factor"]
    keep = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / (keep + (1 - keep) / STRETCH["factor"])).astype(np.float32)


def small_model(family):
    shape = SHAPES[family]
    rng = np.random.default_rng(len(family))
    tokens, kinds, merges = vocabulary()
    head_dim = HIDDEN // shape["heads"]
    writer = gguf.GGUFWriter(str(DATA / f"gguf_{family}.gguf"), family)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_rope_freq_base(shape["theta"])
    writer.add_layer_norm_rms_eps(shape["eps"])
    writer.add_rope_dimension_count(head_dim)
    writer.add_expert_count(0)
    writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    writer.add_uint16("split.count", 1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(shape["pre"])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index("<|begin|>"))
    writer.add_eos_token_id(tokens.index("<|end|>"))
    writer.add_pad_token_id(tokens.index("<|end|>"))
    writer.add_chat_template("{{ bos_token }}{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}")

    def tensor(name, rows, columns, kind, center=0.0, width=0.25):
        if kind.endswith("K"):
            stored = random_blocks(kind, rows * columns // 256, rng, [3e-4, 1e-3] if kind != "Q6_K" else [1e-4]).reshape(rows, -1)
        else:
            values = center + width * rng.normal(size=(rows, columns) if rows else columns)
            stored = gguf.quantize(values.astype(np.float32), Type[kind])
        writer.add_tensor(name, stored, raw_dtype=Type[kind])

    tensor("token_embd.weight", len(tokens), HIDDEN, "Q8_0")
    keys = head_dim * shape["kv_heads"]
    small = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16", "BF16", "F32"]
    for layer in range(shape["layers"]):
        kind = lambda i: small[(i + 3 * layer) % len(small)]
        path = f"blk.{layer}."
        tensor(path + "attn_norm.weight", 0, HIDDEN, "F32", 1.0)
        for i, (name, rows) in enumerate([("attn_q", HIDDEN), ("attn_k", keys), ("attn_v", keys)]):
            tensor(f"{path}{name}.weight", rows, HIDDEN, kind(i))
            if family == "qwen2":
                tensor(f"{path}{name}.bias", 0, rows, "F32")
        tensor(path + "attn_output.weight", HIDDEN, HIDDEN, kind(3))
        tensor(path + "ffn_norm.weight", 0, HIDDEN, "F32", 1.0)
        tensor(path + "ffn_gate.weight", INTERMEDIATE, HIDDEN, kind(4))
        tensor(path + "ffn_up.weight", INTERMEDIATE, HIDDEN, kind(0))
        tensor(path + "ffn_down.weight", HIDDEN, INTERMEDIATE, ["Q4_K", "Q5_K", "Q6_K"][layer])
    tensor("output_norm.weight", 0, HIDDEN, "F32", 1.0)
    if family == "llama":
        tensor("output.weight", len(tokens), HIDDEN, "Q4_0")
        writer.add_tensor("rope_freqs.weight", stretches(shape["theta"], head_dim))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def from_file(path):
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()


def greedy(model, tokens, count):
    import torch

    ids = torch.tensor([tokens])
    made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, pad_token_id=0)
    return made[0, len(tokens) :].tolist()


def unrounded(path, copy):
    """The same model in f32: of quantized weights llama.cpp's products round the other factor to eight bits, too."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(copy, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name not in ("general.architecture", "general.file_type"):
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def server(path):
    """llama.cpp, which keeps keys and values in f32."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
    params.cpuparams.n_threads = 2
    return xllamacpp.Server(params)


def asked(engine, route, question):
    request = urllib.request.Request(f"{engine.listening_address}/{route}", json.dumps(question).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["tokens"]


def llama_cpp_tokens(engine, text, first):
    return asked(engine, "tokenize", {"content": text, "add_special": first, "parse_special": True})


def models():
    import torch
    from transformers import LlamaForCausalLM

    record = {"texts": TEXTS}
    for family in SHAPES:
        small_model(family)
        path = DATA / f"gguf_{family}.gguf"
        model = from_file(path)
        if family == "llama":
            # transformers leaves rope_freqs.weight out.
            config = model.config
            config.rope_parameters = {**STRETCH, "rope_theta": SHAPES[family]["theta"]}
            stretched = LlamaForCausalLM(config).eval()
            stretched.load_state_dict(model.state_dict())
            model = stretched
        # Far enough for pairs that turn slowly.
        tokens = [(i * i * 7 + 3 * i + 1) % 260 for i in range(300)]
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0]
        engine = server(path)
        # Qwen2's own tokenizer composes characters first, which llama.cpp leaves to its users.
        texts = [unicodedata.normalize("NFC", text) if family == "qwen2" else text for text in TEXTS]
        record[family] = {
            "tokens": tokens,
            "positions": [0, 17, 299],
            "logits": [[round(x, 5) for x in logits[p].tolist()] for p in [0, 17, 299]],
            "greedy": greedy(model, tokens, 16),
            "texts": [llama_cpp_tokens(engine, text, False) for text in texts],
            "with_first": [llama_cpp_tokens(engine, text, True) for text in texts],
        }
    write_json("gguf_models.json", record)


# --- The real model --------------------------------------------------------------------------------------------------


def real(path):
    import torch
    from transformers import AutoTokenizer

    path = Path(path)
    model = from_file(path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    with tempfile.TemporaryDirectory() as scratch:
        unrounded(path, f"{scratch}/f32.gguf")
        engine = server(f"{scratch}/f32.gguf")
    cases, same, same_tokens = [], 0, 0
    for prompt in PROMPTS:
        text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False)
        tokens = tokenizer.encode(text, add_special_tokens=False)
        with torch.no_grad():
            last = model(torch.tensor([tokens])).logits[0, -1]
        best = torch.topk(last, KEPT)
        answer = greedy(model, tokens, NEW_TOKENS)
        question = {"prompt": tokens, "n_predict": NEW_TOKENS, "temperature": 0.0, "top_k": 1, "return_tokens": True, "cache_prompt": False}
        answer, own = (tokens[: tokens.index(2)] if 2 in tokens else tokens for tokens in (answer, asked(engine, "completion", question)))
        same += own == answer
        same_tokens += tokens == llama_cpp_tokens(engine, text, False)
        cases.append({
            "prompt": prompt,
            "tokens": tokens,
            "best": best.indices.tolist(),
            "logits": [round(x, 4) for x in best.values.tolist()],
            "greedy": answer,
        })
        print(prompt, "|", tokenizer.decode(answer), "| the same" if own == answer else f"| llama.cpp: {tokenizer.decode(own)}")
    print(f"llama.cpp: {same_tokens} of {len(PROMPTS)} prompts have the same tokens, {same} the same greedy answers")
    (DATA / "gguf_smollm2.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def folder(directory, path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = Path(path)
    ours = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    theirs = from_file(path)
    a, b = ours.state_dict(), theirs.state_dict()
    different = [name for name in b if name not in a or not torch.equal(a[name], b[name])]
    if different or a.keys() != b.keys():
        sys.exit(f"tensors differ: {different or a.keys() ^ b.keys()}")
    ours_says, theirs_says = (
        AutoTokenizer.from_pretrained(directory),
        AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name),
    )
    # Composed characters, since transformers does not compose them for a file, as Qwen2's own tokenizer and the folder's do.
    for prompt in PROMPTS + [unicodedata.normalize("NFC", text) for text in TEXTS]:
        texts = [t.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False) for t in (ours_says, theirs_says)]
        if texts[0] != texts[1] or ours_says.encode(texts[0]) != theirs_says.encode(texts[0]):
            sys.exit(f"prompts differ: {texts}")
    print(f"{len(b)} tensors are equal, and the tokens of {len(PROMPTS) + len(TEXTS)} prompts")


def main(command, *arguments):
    match command:
        case "blocks" | "models" | "real" | "folder":
            globals()[command](*arguments)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["help"]))
