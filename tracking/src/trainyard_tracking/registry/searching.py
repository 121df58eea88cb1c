"""The order and the pages of searches, as MLflow's SQL store has them. Pure."""

import re
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.search_utils import SearchModelVersionUtils, SearchUtils

_NEWEST_VERSIONS = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")
_ATTRIBUTES = {"version_number": "version", "timestamp": "last_updated_timestamp"}

Order = tuple[str, bool]


def sorted_models(models: Iterable[Any], order_by: list[str] | None) -> list[Any]:
    """Sort registered models, by name where nothing else is said.

    Raises:
        MlflowException: there is no such key, or it is there twice.
    """
    parse = SearchUtils.parse_order_by_for_search_registered_models
    orders = _orders(order_by or (), parse)
    return _sorted(models, (*orders, ("name", True)))


def sorted_versions(versions: Iterable[Any], order_by: list[str] | None) -> list[Any]:
    """Sort model versions, the newest first where nothing else is said.

    Raises:
        MlflowException: there is no such key, or it is there twice.
    """
    parse = SearchModelVersionUtils.parse_order_by_for_search_model_versions
    orders = _orders(order_by or _NEWEST_VERSIONS, lambda clause: parse(clause)[1:])
    return _sorted(versions, (*orders, ("name", True), ("version", False)))


def page(found: list[Any], max_results: int, page_token: str | None) -> Any:
    """Cut a page out of what was found."""
    start = SearchUtils.parse_start_offset_from_page_token(page_token)
    end = start + max_results
    token = SearchUtils.create_page_token(end) if end < len(found) else None
    return PagedList(found[start:end], token)


def require_page(max_results: int | None, most: int) -> int:
    """Give the size of a page.

    Raises:
        MlflowException: it is none, or too large.
    """
    if not isinstance(max_results, int) or max_results < 1:
        raise MlflowException(
            f"Invalid value for max_results. It must be a positive integer, but got {max_results}",
            INVALID_PARAMETER_VALUE,
        )
    if max_results > most:
        raise MlflowException(
            "Invalid value for request parameter max_results. It must be at most "
            f"{most}, but got value {max_results}",
            INVALID_PARAMETER_VALUE,
        )
    return max_results


def require_numbers(parsed: Iterable[dict[str, Any]]) -> None:
    """See that what is compared with numbers is one, with MLflow's texts.

    Raises:
        MlflowException: it is none, or compared as text is.
    """
    for one in parsed:
        key, comparator, value = one["key"], one["comparator"], one["value"]
        if one["type"] != "attribute" or key not in SearchModelVersionUtils.NUMERIC_ATTRIBUTES:
            continue
        if comparator not in SearchModelVersionUtils.VALID_NUMERIC_ATTRIBUTE_COMPARATORS:
            raise MlflowException(
                f"Invalid comparator for attribute {key}: {comparator}", INVALID_PARAMETER_VALUE
            )
        if not re.fullmatch("-?[0-9]{1,18}", str(value), re.ASCII):
            raise MlflowException(
                f"Invalid value for numeric attribute '{key}': {value!r}", INVALID_PARAMETER_VALUE
            )


def _orders(clauses: Iterable[str], parse: Callable[[str], Order]) -> list[Order]:
    orders: list[Order] = []
    for key, ascending in map(parse, clauses):
        attribute = _ATTRIBUTES.get(key, key)
        if any(attribute == known for known, _ in orders):
            raise MlflowException(
                f"`order_by` contains duplicate fields: {list(clauses)}", INVALID_PARAMETER_VALUE
            )
        orders.append((attribute, ascending))
    return orders


def _sorted(found: Iterable[Any], orders: Iterable[Order]) -> list[Any]:
    """Sort by several keys: stably, by the last of them first."""
    ordered = list(found)
    for attribute, ascending in reversed(list(orders)):
        ordered.sort(key=attrgetter(attribute), reverse=not ascending)
    return ordered
