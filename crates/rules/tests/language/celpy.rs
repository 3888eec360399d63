//! The language against `cel-python`, an implementation of CEL by others, on the subset both have.
