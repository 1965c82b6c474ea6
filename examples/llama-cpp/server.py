"""llama.cpp's own HTTP server, with its settings taken from the environment.

HOST, PORT            where to listen (127.0.0.1, 8080)
MODEL_PATH            a GGUF file (local/model.gguf beside this file)
N_THREADS             threads that generate an answer
N_THREADS_BATCH       threads that read the prompts
N_CTX                 tokens of context, shared out among the slots
N_PARALLEL            slots: answers that are worked on at a time
N_BATCH, N_UBATCH     tokens of a batch, as it is handed over and as it is computed
FLASH_ATTN            on, off or auto
TYPE_K, TYPE_V        number format of the cache: f16, q8_0, q4_0, ...
CACHE_PROMPT          1: the beginning that a prompt has in common with the
                      slot's last one is not computed again
CACHE_RAM_MIB         memory for the prompts of other requests, 0 for none
VERBOSITY             how much llama.cpp says (1: errors)

What is not set is llama.cpp's own default. A value that is no value ends the
program with exit code 1 and a line that names it.
"""

import os
import signal
import sys
from pathlib import Path

import xllamacpp

FLASH_ATTN = {
    "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
SWITCH = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


def refuse(name, value, wanted):
    sys.exit(f"error: {name}={value} is not {wanted}")


def number(name, lowest):
    """The whole number that the variable holds, None where it is not set."""
    value = os.environ.get(name)
    if not value:
        return None
    try:
        if int(value) >= lowest:
            return int(value)
    except ValueError:
        pass
    return refuse(name, value, f"a whole number of {lowest} or more")


def choice(name, choices):
    value = os.environ.get(name)
    if not value:
        return None
    if value.lower() not in choices:
        refuse(name, value, "one of " + ", ".join(choices))
    return choices[value.lower()]


def cache_type(name):
    value = os.environ.get(name)
    if not value:
        return None
    kind = getattr(xllamacpp.ggml_type, "GGML_TYPE_" + value.upper(), None)
    return refuse(name, value, "a number format of ggml") if kind is None else kind


def settings():
    params = xllamacpp.CommonParams()
    here = Path(__file__).resolve().parent
    params.model.path = os.environ.get("MODEL_PATH") or str(here / "local" / "model.gguf")
    params.model_alias = {"smollm2"}
    params.hostnames = [os.environ.get("HOST") or "127.0.0.1"]
    params.port = number("PORT", 1) or 8080
    params.use_jinja = True
    params.n_gpu_layers = 0
    # What is asked for is used or refused, never made to fit.
    params.fit_params = False
    params.verbosity = number("VERBOSITY", 0) or 1

    def put(target, field, value):
        if value is not None:
            setattr(target, field, value)

    put(params, "n_ctx", number("N_CTX", 1))
    put(params, "n_parallel", number("N_PARALLEL", 1))
    put(params, "n_batch", number("N_BATCH", 1))
    put(params, "n_ubatch", number("N_UBATCH", 1))
    put(params.cpuparams, "n_threads", number("N_THREADS", 1))
    put(params.cpuparams_batch, "n_threads", number("N_THREADS_BATCH", 1))
    put(params, "flash_attn_type", choice("FLASH_ATTN", FLASH_ATTN))
    put(params, "cache_type_k", cache_type("TYPE_K"))
    put(params, "cache_type_v", cache_type("TYPE_V"))
    put(params, "cache_prompt", choice("CACHE_PROMPT", SWITCH))
    put(params, "cache_ram_mib", number("CACHE_RAM_MIB", 0))
    return params


def main():
    # Before the server has its threads, so that SIGTERM ends it at any time.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    params = settings()
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    print("listening on", server.listening_address, flush=True)
    while True:
        signal.pause()


main()
