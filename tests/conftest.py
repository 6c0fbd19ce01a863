"""Shared fixtures: the tiny model, a random GPT-2 and a random Llama, all offline; the website."""

import functools
import http.server
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from dpo_from_scratch.data import data_path
from dpo_from_scratch.models import load_model


def script(path):
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_shipped = script(data_path("make.py"))


def pytest_collection_modifyitems(items):
    """The longest file first, so that no core waits for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_records.py")


@pytest.fixture(scope="session")
def tiny():
    """(model, tokenizer): the shipped reference. Tests that train take a copy."""
    return load_model("tiny")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the website, built without a warning."""
    pytest.importorskip("sphinx")
    root, out = Path(__file__).parent.parent, tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going"]
    command += ["-c", root / "website", "-d", out / "doctrees", root / "notebooks", out / "html"]
    found = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
    assert found.returncode == 0, found.stderr
    return out / "html"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that prints nothing."""

    def log_message(self, *words):
        pass


@pytest.fixture(scope="session")
def website(site):
    """The address of the website."""
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    """A headless browser, for as long as one file's tests run."""
    from playwright.sync_api import sync_playwright

    launch = script(Path(__file__).parent.parent / "website" / "pdf.py").launch
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def js():
    """A function of the playground's dpo.js by its name, given and giving plain numbers, lists and
    objects; the pages' data are there too.
    """
    engine = pytest.importorskip("py_mini_racer").MiniRacer()
    play = Path(__file__).parent.parent / "website" / "play"
    for name in ("dpo", "data", "cases", "tokens", "labels"):
        engine.eval((play / f"{name}.js").read_text(encoding="utf-8"))
    yield lambda name, *arguments: engine.call(name, *arguments)
    engine.close()  # or its threads would keep Python alive


def findings(page, **options) -> set[tuple[str, str]]:
    """What axe finds on the page as it is: the rule and the place of each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"], **options})
    return {
        (rule["id"], " ".join(map(str, node["target"])))
        for rule in found.response["violations"]
        for node in rule["nodes"]
    }


def random_gpt2(dtype=torch.float32):
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=160,
        n_positions=128,
        n_embd=32,
        n_layer=2,
        n_head=4,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
        initializer_range=0.3,
    )
    return GPT2LMHeadModel(config).to(dtype).eval()


def random_llama(dtype=torch.float32):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=160,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).to(dtype).eval()


SHAPES = {"gpt2": random_gpt2, "llama": random_llama}
