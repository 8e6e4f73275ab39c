"""Find the equations in a text and test them in exact rationals. Linear in the text; doubt makes no verdict."""

from strategies.verifiers.equations.find import Equation, equations

__all__ = ["Equation", "equations"]
