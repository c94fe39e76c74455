"""Every loss against a figure worked out by hand, and every mask against what it must hide."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from crossaisle.training.text import objectives

EYE = torch.eye(2)
ALL = torch.ones(2, 2, dtype=torch.bool)


def softmax(*, wrong: Tensor = ALL, log_q: Tensor | None = None, temperature: float = 1.0) -> float:
    return float(objectives.in_batch_softmax(EYE, EYE, temperature=temperature, wrong=wrong, log_q=log_q))


def test_in_batch_softmax() -> None:
    assert softmax() == pytest.approx(math.log(1 + math.exp(-1)))
    assert softmax(temperature=0.5) == pytest.approx(math.log(1 + math.exp(-2)))


def test_a_false_negative_is_left_out() -> None:
    assert softmax(wrong=torch.zeros(2, 2, dtype=torch.bool)) == pytest.approx(0.0)


def test_any_item_of_the_batch_may_compete() -> None:
    left, right = torch.eye(2), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    wrong = torch.tensor([[True, False, False], [False, True, False]])
    loss = objectives.in_batch_softmax(left, right, temperature=1.0, wrong=wrong, own=torch.tensor([1, 2]))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-1)))


def test_log_q_takes_from_popular_targets() -> None:
    corrected = softmax(log_q=torch.tensor([math.log(0.9), math.log(0.1)]))
    first = math.log(1 + math.exp(0 - math.log(0.1)) / math.exp(1 - math.log(0.9)))
    second = math.log(1 + math.exp(0 - math.log(0.9)) / math.exp(1 - math.log(0.1)))
    assert corrected == pytest.approx((first + second) / 2)


def test_cross_entropy_against_drawn_negatives() -> None:
    negatives = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    wrong = torch.tensor([[True, False], [False, True]])
    loss = objectives.cross_entropy(EYE, EYE, negatives, temperature=1.0, wrong=wrong)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-1)))


def test_binary_cross_entropy() -> None:
    loss = objectives.binary_cross_entropy(
        EYE, EYE, EYE, temperature=1.0, bias=torch.zeros(()), wrong=~torch.eye(2, dtype=torch.bool)
    )
    assert float(loss) == pytest.approx((math.log(1 + math.exp(-1)) + math.log(2)) / 2)
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    bare = objectives.binary_cross_entropy(
        EYE, EYE, EYE, temperature=1.0, bias=torch.zeros(()), wrong=nothing
    )
    assert float(bare) == pytest.approx(math.log(1 + math.exp(-1)) / 2)


def test_squared_error() -> None:
    value = torch.tensor([3.0, 5.0])
    loss = objectives.squared_error(EYE, EYE, value, scale=torch.tensor(2.0), bias=torch.tensor(1.0))
    assert float(loss) == pytest.approx((0 + 4) / 2)


def test_triplet_takes_the_hardest_true_negative() -> None:
    negatives = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    wrong = torch.tensor([[False, True], [True, True]])
    loss = objectives.triplet(EYE, EYE, negatives, margin=0.5, wrong=wrong)
    assert float(loss) == pytest.approx(((0.6 - 1 + 0.5) + (0.8 - 1 + 0.5)) / 2)
