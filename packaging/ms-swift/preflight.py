#!/usr/bin/env python3
"""Looks whether all is there that a fine-tuning study by ms-swift needs.

Run with the Python that trains. Each finding is a line: `ok:`, `warning:` or
`error:`. It ends with 1 when there is an error, and changes nothing.
"""

import argparse
import glob
import importlib.metadata
import importlib.util
import json
import os
import socket
import sys
import urllib.parse

ERRORS = []


def ok(text):
    print(f"ok: {text}", flush=True)


def warn(text):
    print(f"warning: {text}", flush=True)


def error(text):
    ERRORS.append(text)


def release(*packages):
    """The release of the first of these that is installed."""
    for package in packages:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def is_there(module):
    """Whether a module can be imported, as far as that shows without doing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def look_at_swift(wanted):
    found = release("ms-swift")
    if found is None:
        error(f"ms-swift is not installed for {sys.executable}: pip install -U ms-swift, or set VENV")
        return
    major = found.split(".")[0]
    if major not in ("3", "4"):
        warn(f"ms-swift {found}: this preset was made for releases 3 and 4")
    elif major != wanted:
        error(
            f"ms-swift is {found}: set MS_SWIFT = {major} in [base], and "
            f'ms_swift = "{found}" in [catalogue]'
        )
    else:
        ok(f"ms-swift {found}")
    for package in ("lm_eval", "evalscope"):
        found = release(package)
        ok(f"{package} {found}" if found else f"{package} is not installed (it evaluates)")


def look_at_torch(precision, gpus):
    try:
        import torch
    except ImportError as missing:
        error(f"torch cannot be imported: {missing}")
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        warn(f"torch {torch.__version__} sees no GPU: training on the processor is slow")
    elif count < gpus:
        error(f"NPROC_PER_NODE is {gpus}, but there are {count} GPUs: see CUDA_VISIBLE_DEVICES")
    else:
        ok(f"torch {torch.__version__}, {count} GPUs: {torch.cuda.get_device_name(0)}")
    if precision == "bf16":
        if count and not torch.cuda.is_bf16_supported():
            error('this GPU has no bf16: set precision = "fp16" in [base]')
        elif count:
            ok("the GPU has bf16")
    elif precision == "fp16" and not count:
        error('fp16 wants a GPU: set precision = "fp32" in [base]')


def look_at_attention(packing, attn_impl):
    wants = packing or attn_impl.startswith("flash")
    if packing and not attn_impl.startswith("flash"):
        warn(f"packing with attn_impl = {attn_impl}: samples see each other; it wants flash_attn")
    if not wants:
        return
    try:
        import flash_attn
    except ImportError as missing:
        error(
            f"packing and attn_impl = flash_attn want flash_attn, which cannot be imported "
            f'({missing}): install it, or set packing = "false" and attn_impl = "sdpa" in [base]'
        )
    else:
        ok(f"flash_attn {flash_attn.__version__}")


def look_at_model(model):
    """Whether it is a folder; and what it lacks."""
    if not os.path.isdir(model):
        if os.path.isabs(model) or model.startswith("."):
            error(f"there is no folder {model}: it is the model's")
            return True
        return False
    here = set(os.listdir(model))
    lacks = []
    if "config.json" not in here:
        lacks.append("config.json")
    if not any(name.startswith(("tokenizer", "vocab")) or name.endswith(".model") for name in here):
        lacks.append("a tokenizer")
    indexes = sorted(here & {"model.safetensors.index.json", "pytorch_model.bin.index.json"})
    for index in indexes:
        with open(os.path.join(model, index), encoding="utf-8") as text:
            files = set(json.load(text).get("weight_map", {}).values())
        lacks += sorted(files - here)
    weights = [*glob.glob(os.path.join(model, "*.safetensors")), *glob.glob(os.path.join(model, "*.bin"))]
    if not weights:
        lacks.append("weights (*.safetensors)")
    if lacks:
        shown = ", ".join(lacks[:5]) + (f" and {len(lacks) - 5} more" if len(lacks) > 5 else "")
        error(f"the model in {model} is not complete: {shown}: fetch it again")
    else:
        ok(f"the model in {model} is complete")
    return True


def look_at_data(dataset):
    """Whether it is local; and whether its first lines can be read."""
    # NAME:subset#samples
    path = dataset
    if not os.path.exists(path):
        path = path.rsplit("#", 1)[0]
    if not os.path.exists(path):
        if os.path.isabs(path) or path.startswith(".") or path.endswith((".jsonl", ".json", ".csv")):
            error(f"there is no file {path}: it is the data set")
            return True
        return False
    if os.path.isdir(path) or not path.endswith(".jsonl"):
        ok(f"the data set {path} is there")
        return True
    count = 0
    known = {"messages", "conversations", "conversation", "query", "instruction", "input", "prompt", "text"}
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    error(f"{path}, line {number}: no JSON object")
                    return True
                if not known & set(record):
                    warn(f"{path}, line {number}: it has none of messages, conversations, query")
                    return True
                count += 1
                if number >= 1000:
                    break
    except (OSError, UnicodeDecodeError) as failed:
        error(f"the data set {path} cannot be read: {failed}")
        return True
    except json.JSONDecodeError as failed:
        error(f"{path}, line {number}: no JSON: {failed}")
        return True
    if count:
        ok(f"the data set {path}: the first {count} samples can be read")
    else:
        error(f"the data set {path} is empty")
    return True


def look_at_swanlab(report_to, mode, project):
    if report_to == "none" or "swanlab" not in report_to.split():
        return
    found = release("swanlab")
    if found is None:
        error('report_to = "swanlab", but swanlab is not installed: pip install swanlab')
        return
    ok(f"swanlab {found}")
    if not project or project == "none":
        warn("swanlab_project is missing: runs end up in a project of swift's choice")
    elsewhere = 'or set swanlab_mode = "local", or report_to = "none"'
    if mode == "local":
        if not is_there("swanboard"):
            error("swanlab_mode = local shows nothing without: pip install 'swanlab[dashboard]'")
        return
    if mode != "cloud":
        error(f"swanlab_mode is {mode}: swift takes cloud or local; report_to = \"none\" does without")
        return
    logged_in = glob.glob(os.path.expanduser("~/.swanlab/*netrc*"))
    if not os.environ.get("SWANLAB_API_KEY") and not logged_in:
        error(
            "SWANLAB_API_KEY is missing: swift stops without. Put it into .env in the workdir "
            f"(chmod 600), or the credential swanlab_api_key, {elsewhere}"
        )
        return
    address = os.environ.get("SWANLAB_API_HOST", "https://api.swanlab.cn")
    host = urllib.parse.urlsplit(address if "//" in address else f"//{address}").hostname
    trouble = reaches(host)
    if trouble:
        error(f"SwanLab cannot be reached ({trouble}): swift stops then; {elsewhere[3:]}")
    else:
        ok(f"SwanLab at {host} can be reached")


def reaches(host):
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    port = 443
    if proxy:
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
        host, port = parts.hostname or host, parts.port or 80
    try:
        with socket.create_connection((host, port), timeout=10):
            return None
    except OSError as failed:
        return f"{host}:{port}: {failed}"


def look_at_hub(use_hf, needed, offline):
    if use_hf:
        address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    else:
        address = os.environ.get("MODELSCOPE_DOMAIN", "https://www.modelscope.cn")
    host = urllib.parse.urlsplit(address if "//" in address else f"//{address}").hostname
    if offline:
        ok(f"offline: {host} is not asked; what is not local must be in the cache")
        return
    trouble = reaches(host)
    if trouble is None:
        ok(f"the hub {host} can be reached")
    elif needed:
        error(
            f"the hub cannot be reached ({trouble}), and {' and '.join(needed)} must come from it; "
            'if they are in the cache: HF_HUB_OFFLINE = "1" in [env]'
        )
    else:
        warn(f"the hub cannot be reached ({trouble}); all is local, so it need not be")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ms-swift", default="4")
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", action="append", default=[])
    parser.add_argument("--use-hf", default="false")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--packing", default="false")
    parser.add_argument("--attn-impl", default="sdpa")
    parser.add_argument("--deepspeed", default="none")
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--report-to", default="none")
    parser.add_argument("--swanlab-mode", default="cloud")
    parser.add_argument("--swanlab-project", default="")
    parser.add_argument("--infer-backend", default="pt")
    given = parser.parse_args()
    use_hf = given.use_hf.lower() in ("true", "1", "yes")
    offline = any(os.environ.get(name) == "1" for name in ("HF_HUB_OFFLINE", "MODELSCOPE_OFFLINE"))

    look_at_swift(given.ms_swift)
    look_at_torch(given.precision, given.gpus)
    look_at_attention(given.packing == "true", given.attn_impl)
    if given.deepspeed != "none" and not is_there("deepspeed"):
        error(f"deepspeed = {given.deepspeed}, but deepspeed is not installed: pip install deepspeed")
    backend = given.infer_backend
    if backend in ("vllm", "sglang", "lmdeploy") and not is_there(backend):
        error(f"infer_backend = {backend}, but {backend} is not installed")
    needed = [] if look_at_model(given.model) else [f"the model {given.model}"]
    needed += [f"the data set {name}" for name in given.dataset if not look_at_data(name)]
    look_at_swanlab(given.report_to, given.swanlab_mode, given.swanlab_project)
    look_at_hub(use_hf, needed, offline)
    # The last line is what a study that pauses tells.
    for text in ERRORS[1:]:
        print(f"error: {text}", flush=True)
    if ERRORS:
        more = f" (and {len(ERRORS) - 1} more, above this line)" if ERRORS[1:] else ""
        print(f"error: {ERRORS[0]}{more}", flush=True)
    else:
        ok("all is there")
    return 1 if ERRORS else 0


if __name__ == "__main__":
    sys.exit(main())
