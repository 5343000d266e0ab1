"""The page of an evaluation: its sections are made of records alone, one file each."""

from torchyard.pages.evaluation.page import Evaluation, evaluation_page

__all__ = ["Evaluation", "evaluation_page"]
