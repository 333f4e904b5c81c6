"""The shapes of common tokens are recognised; what is obviously made up is not."""

import pytest

from pipeline.core.tokens import masked, tokens_in

MIXED = "q7Zr2Lm9Xc4VbN8sKd3TgH5wJp6YfA1e"
REAL = {
    "a GitHub token": ["ghp_" + MIXED + "abcd", "gho_" + MIXED + "abcd", "github_pat_" + MIXED],
    "an Anthropic key": ["sk-ant-api03-" + MIXED],
    "an OpenAI key": ["sk-proj-" + MIXED, "sk-" + MIXED + MIXED[::-1]],
    "an AWS access key": ["AKIA" + "QWERTYUIOPASDFGH"],
    "a Slack token": ["xoxb-" + "2847562-" + MIXED, "xoxp-" + MIXED],
    "a GitLab token": ["glpat-" + MIXED[:20]],
    "an npm token": ["npm_" + MIXED + "abcd"],
    "a PyPI token": ["pypi-AgEIcHlwaS5vcmc" + MIXED],
    "a Google API key": ["AIza" + MIXED + "abc"],
    "a Google access token": ["ya29." + MIXED],
    "a Hugging Face token": ["hf_" + MIXED + "ab"],
    "a SendGrid key": ["SG." + MIXED[:22] + "." + MIXED + "abcdefghijk"],
    "a DigitalOcean token": ["dop_v1_" + "0a1b2c3d4e5f6789" * 4],
    "a private key": ["-----BEGIN " + "RSA PRIVATE KEY-----", "-----BEGIN " + "PRIVATE KEY-----"],
}


@pytest.mark.parametrize(
    ("shape", "text"), [(shape, text) for shape, texts in REAL.items() for text in texts]
)
def test_a_token_is_known_by_its_shape_and_can_be_masked(shape, text):
    line = f'key = "{text}"  # in use'
    assert [token.shape for token in tokens_in(line)] == [shape]
    assert masked(line) == f'key = "[{shape}]"  # in use'


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "x" * 36,
        "ghp_" + "a" * 36,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "sk-ant-your-key-goes-here-please",
        "sk-ant-api03-" + "x" * 40,
        "task-" + "proj-" + MIXED,
        "npm_config_cache",
        "hf_hub_download_of_models",
        "-----BEGIN PUBLIC KEY-----",
        "sk-" + "short",
        "a sentence without any",
    ],
)
def test_what_is_made_up_or_something_else_is_no_token(text):
    assert list(tokens_in(text)) == []
