"""Four float32 that a processor handles at once, a type that numba lacks: `a + b`, `a - b`, `a * b`, and what follows.

All operations round as the same ones on single numbers do. Callers guarantee that indices lie within arrays.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

NUM_LANES = 4
_FLOATS = ir.VectorType(ir.FloatType(), NUM_LANES)
_DOUBLES = ir.VectorType(ir.DoubleType(), NUM_LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), NUM_LANES)
FLOAT_BYTES = 4

EXP_MIN = -88.3762626647949
"""Below it, the polynomial's result is 0."""
EXP_TERMS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
LOG2_E = 1.44269504088896341
LN2_PARTS = (0.693359375, -2.12194440e-4)
"""They add up to ln 2; multiples of the first one are exact."""


class Lanes(types.Type):
    """numba's name of the type."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = Lanes()


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """How LLVM holds it: a vector, which fits a register."""

    def __init__(self, manager, kind):
        super().__init__(manager, kind, _FLOATS)


def _constant(number: float, kind: ir.VectorType = _FLOATS) -> ir.Constant:
    """`number` in all lanes."""
    exact = number if kind is not _FLOATS else float(np.float32(number))
    return ir.Constant(kind, [ir.Constant(kind.element, exact)] * NUM_LANES)


def _lane(index: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), index)


def _pointer(context, builder, kind, array, index):
    first = builder.gep(context.make_array(kind)(context, builder, array).data, [index])
    return builder.bitcast(first, _FLOATS.as_pointer())


def _is_flat(array) -> bool:
    return isinstance(array, types.Array) and (array.dtype, array.ndim, array.layout) == (types.float32, 1, "C")


@intrinsic
def load(typing, array, index):
    """The four elements of a float32 [N] from `index`, a uint64."""

    def build(context, builder, signature, arguments):
        found = builder.load(_pointer(context, builder, signature.args[0], *arguments))
        found.align = FLOAT_BYTES
        return found

    return (LANES(array, types.uint64), build) if _is_flat(array) else None


@intrinsic
def store(typing, array, index, lanes):
    """Write lanes into a float32 [N] from `index`, a uint64."""

    def build(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer).align = FLOAT_BYTES
        return context.get_dummy_value()

    return (types.void(array, types.uint64, LANES), build) if _is_flat(array) else None


def _pack_lanes(builder, numbers):
    lanes = ir.Constant(_FLOATS, ir.Undefined)
    for k, number in enumerate(numbers):
        lanes = builder.insert_element(lanes, number, _lane(k))
    return lanes


@intrinsic
def broadcast(typing, number):
    """Lanes that all hold a float32."""
    return LANES(types.float32), lambda context, builder, signature, numbers: _pack_lanes(builder, numbers * NUM_LANES)


@intrinsic
def pack(typing, a, b, c, d):
    """Lanes that hold four float32."""
    kinds = [types.float32] * NUM_LANES
    return LANES(*kinds), lambda context, builder, signature, numbers: _pack_lanes(builder, numbers)


@intrinsic
def unpack(typing, lanes):
    """The four float32 of the lanes."""

    def build(context, builder, signature, arguments):
        numbers = [builder.extract_element(arguments[0], _lane(k)) for k in range(NUM_LANES)]
        return context.make_tuple(builder, signature.return_type, numbers)

    return types.UniTuple(types.float32, NUM_LANES)(LANES), build


def _operation(name: str):
    @intrinsic
    def operation(typing, a, b):
        return LANES(LANES, LANES), lambda context, builder, signature, pair: getattr(builder, name)(*pair)

    return operation


def _define(symbol, operation) -> None:
    @overload(symbol)
    def typed(a, b):
        return (lambda a, b: operation(a, b)) if isinstance(a, Lanes) and isinstance(b, Lanes) else None


for _symbol, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define(_symbol, _operation(_name))
divide = _operation("fdiv")


@intrinsic
def add_half(typing, a, b):
    """a + b / 2, each lane computed in double precision and rounded once."""

    def build(context, builder, signature, pair):
        a, b = (builder.fpext(value, _DOUBLES) for value in pair)
        return builder.fptrunc(builder.fadd(a, builder.fmul(_constant(0.5, _DOUBLES), b)), _FLOATS)

    return LANES(LANES, LANES), build


@intrinsic
def exponential(typing, lanes):
    """e to the power of lanes that are not positive: Cephes' polynomial in single precision [Moshier 1992].

    x = n·ln 2 + g with a whole n; e^g is 1 + g + g² times a polynomial, and 2^n is written into the exponent's bits.
    """

    def build(context, builder, signature, arguments):
        minimum = _constant(EXP_MIN)
        x = builder.select(builder.fcmp_ordered(">", arguments[0], minimum), arguments[0], minimum)
        n = builder.fadd(builder.fmul(x, _constant(LOG2_E)), _constant(0.5))
        truncated = builder.sitofp(builder.fptosi(n, _INTEGERS), _FLOATS)
        above = builder.uitofp(builder.fcmp_ordered(">", truncated, n), _FLOATS)
        n = builder.fsub(truncated, above)
        for part in LN2_PARTS:
            x = builder.fsub(x, builder.fmul(n, _constant(part)))
        y = _constant(EXP_TERMS[0])
        for term in EXP_TERMS[1:]:
            y = builder.fadd(builder.fmul(y, x), _constant(term))
        y = builder.fadd(builder.fadd(builder.fmul(y, builder.fmul(x, x)), x), _constant(1))
        bits = builder.shl(
            builder.add(builder.fptosi(n, _INTEGERS), _constant(127, _INTEGERS)), _constant(23, _INTEGERS)
        )
        return builder.fmul(y, builder.bitcast(bits, _FLOATS))

    return LANES(LANES), build
