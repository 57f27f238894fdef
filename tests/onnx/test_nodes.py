"""ONNX's own tests of its ops: right, or refused with a reason; never wrong."""

import pytest
from onnx_cases import TABLE, cases_of, every_case, in_a_table
from tables import rows

# One module of ONNX's tests for each kind of handler; the recurrent ones whole.
RECURRENT = ("rnn", "lstm", "gru", "scan", "loop", "if_")
SAMPLE = (
    "add", "globalaveragepool", "clip", "compress", "concat", "cumsum", "div", "einsum", "flatten",
    "gather", "gatherelements", "gathernd", "gemm", "layernormalization", "matmul", "mod",
    "negativeloglikelihoodloss", "onehot", "optionalgetelement", "pad", "rangeop",
    "reducemax", "reversesequence", "scatterelements", "scatternd", "slice", "softmax", "split",
    "splittosequence", "swiglu", "topk", "transpose", "trilu", "unsqueeze", "where",
)  # fmt: skip


def test_every_recurrent_node_of_onnx_is_right():
    cases = cases_of(*RECURRENT)
    assert len(cases) > 25
    assert [case.name for case in cases if case.verdict()] == []


@pytest.mark.parametrize("module", rows(SAMPLE, set(SAMPLE) - {"layernormalization"}))
def test_a_node_of_onnx_is_right_or_refused(module):
    cases = cases_of(module)
    refused = {case.name: reason for case in cases if (reason := case.verdict())}
    assert len(refused) <= len(cases) / 2, refused


@pytest.mark.slow
def test_no_node_of_onnx_is_wrong_and_the_page_counts_them():
    cases = every_case()
    assert len(cases) > 2000
    assert in_a_table(cases) in TABLE.read_text("utf-8")
