"""Elites as arrays, and as tables of pandas and xarray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import numpy as np

if TYPE_CHECKING:
    import pandas
    import xarray


class Axis(NamedTuple):
    """One axis of the descriptor space: name, bounds, unit."""

    name: str
    lower: float
    upper: float
    unit: str = ""


class Elite(NamedTuple):
    """One elite: its cell, fitness, descriptor ``[k]`` and genome, f32 ``[dim]``."""

    cell: int
    fitness: float
    descriptor: np.ndarray
    genome: np.ndarray


def frame(columns: dict[str, tuple[np.ndarray, str, str]]) -> "pandas.DataFrame":
    """Columns (array, unit, meaning) as a table; a column of width w becomes w columns ``NAME_0``, ``NAME_1``, ..."""
    import pandas

    return pandas.DataFrame(flat((name, values) for name, (values, _, _) in columns.items()))


def flat(columns: Any) -> dict[str, np.ndarray]:
    table: dict[str, np.ndarray] = {}
    for name, values in columns:
        if values.ndim == 1:
            table[name] = values
        else:
            table.update({f"{name}_{i}": values[:, i] for i in range(values.shape[1])})
    return table


class Archive:
    """A copy of an archive's elites at one moment, n of them, in order of cell number.

    kind: ``"grid"``, ``"cvt"``, ``"unstructured"`` or ``"dns"``.
    axes: the descriptor's axes, k of them.
    shape: cells along each axis of a grid, else None.
    centroids: ``[cells, k]`` of a CVT, else None.
    capacity: number of cells; without cells the most elites.
    qd_offset: added to each fitness in the QD score.
    rules: what else the archive goes by.
    operators: names of what the column ``operator`` numbers.
    columns: all columns of the elites by name, as docs/format.md has them; ``[n]`` or ``[n, width]``.
    """

    def __init__(self, about: dict[str, Any], genomes: Callable[[], Any]):
        self.kind: str = about["kind"]
        self.axes = [Axis(name, lower, upper, unit) for name, unit, lower, upper in about["axes"]]
        self.shape: Optional[tuple[int, ...]] = tuple(about["shape"]) if about["shape"] is not None else None
        self.centroids: Optional[np.ndarray] = about["centroids"]
        self.capacity: int = about["capacity"]
        self.qd_offset: float = about["qd_offset"]
        self.rules: dict[str, Any] = about["rules"]
        self.operators: list[str] = about["operators"]
        self.columns: dict[str, np.ndarray] = {name: column[0] for name, column in about["columns"].items()}
        self.metrics: dict[str, float] = about["metrics"]
        self._about = {name: column[1:] for name, column in about["columns"].items()}
        self._open = genomes
        self._coded: Any = None
        self._genomes: Optional[np.ndarray] = None

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        m = self.metrics
        cells = "elites" if self.kind in ("unstructured", "dns") else f"of {self.capacity} cells"
        return f"<illume.Archive {self.kind}: {len(self)} {cells}, QD score {m['qd_score']:.6g}, best {m['max_fitness']:.6g}>"

    @property
    def cells(self) -> np.ndarray:
        """Numbers of the filled cells, i64 ``[n]``, rising."""
        return self.columns["cell"]

    @property
    def fitness(self) -> np.ndarray:
        """f64 ``[n]``, to be maximized."""
        return self.columns["fitness"]

    @property
    def descriptors(self) -> np.ndarray:
        """f64 ``[n, k]``, in the axes' units."""
        return self.columns["descriptor"].reshape(len(self), len(self.axes))

    @property
    def genomes(self) -> np.ndarray:
        """Genes as they were evaluated, f32 ``[n, dim]``; read and, if they are stored as lineages, decoded when first asked for."""
        if self._genomes is None:
            self._genomes = self._decoder().genes()
        return self._genomes

    def genes(self, rows: Any) -> np.ndarray:
        """Genes of some elites, f32 ``[rows, dim]``, without decoding the others; `rows` are positions from 0 to n - 1."""
        rows = [int(row) for row in np.atleast_1d(rows)]
        return self.genomes[rows] if self._genomes is not None else self._decoder().genes(rows)

    def _decoder(self) -> Any:
        if self._coded is None:
            self._coded = self._open()
        return self._coded

    @property
    def filled(self) -> int:
        """Number of elites."""
        return len(self)

    @property
    def qd_score(self) -> float:
        """Sum over filled cells of fitness and `qd_offset`; NaN without cells."""
        return self.metrics["qd_score"]

    @property
    def coverage(self) -> float:
        """Share of the cells that are filled, 0 to 1; NaN without cells."""
        return self.metrics["coverage"]

    @property
    def max_fitness(self) -> float:
        """NaN for an empty archive."""
        return self.metrics["max_fitness"]

    @property
    def mean_fitness(self) -> float:
        """NaN for an empty archive."""
        return self.metrics["mean_fitness"]

    @property
    def best(self) -> Elite:
        """The elite of the highest fitness, of equals the one in the lowest cell."""
        self._not_empty()
        return self._elite(int(np.argmax(self.fitness)))

    def elite(self, cell: int) -> Optional[Elite]:
        """The elite of a cell, None if the cell is empty."""
        row = int(np.searchsorted(self.cells, cell))
        return self._elite(row) if row < len(self) and self.cells[row] == cell else None

    def nearest(self, descriptor: Any) -> Elite:
        """The elite whose descriptor lies nearest to this one, ``[k]``, axes being scaled to their bounds."""
        self._not_empty()
        span = np.array([axis.upper - axis.lower for axis in self.axes])
        away = (self.descriptors - np.asarray(descriptor, dtype=np.float64)) / span
        return self._elite(int(np.argmin(np.sum(away * away, axis=1))))

    def _not_empty(self) -> None:
        if len(self) == 0:
            from ._illume import Error

            raise Error("the archive is empty: it has no elite")

    def _elite(self, row: int) -> Elite:
        return Elite(int(self.cells[row]), float(self.fitness[row]), self.descriptors[row], self.genes([row])[0])

    def to_pandas(self, genomes: bool = False) -> "pandas.DataFrame":
        """A row for each elite, indexed by its cell: fitness, the descriptor's axes by their names, where it came from, and with `genomes` the columns ``gene_0``, ``gene_1``, ..."""
        import pandas

        operator = np.array(self.operators, dtype=object)
        columns: list[tuple[str, np.ndarray]] = []
        for name, values in self.columns.items():
            if name == "cell":
                continue
            if name == "descriptor":
                columns += [(axis.name, self.descriptors[:, i]) for i, axis in enumerate(self.axes)]
            elif name == "operator" and len(operator) > 0:
                columns.append((name, operator[values]))
            else:
                columns.append((name, values))
        if genomes:
            columns.append(("gene", self.genomes))
        return pandas.DataFrame(flat(columns), index=pandas.Index(self.cells, name="cell"))

    def to_xarray(self, genomes: bool = True) -> "xarray.Dataset":
        """The elites as a dataset of the dimensions elite, axis, parent and gene, as in the group ``/elites`` of an archive's file."""
        import xarray

        second = {"descriptor": "axis", "parents": "parent"}
        variables = {}
        for name, values in self.columns.items():
            values = self.descriptors if name == "descriptor" else values
            unit, meaning = self._about[name]
            dims = ["elite"] + ([second.get(name, f"{name}_item")] if values.ndim == 2 else [])
            variables[name] = (dims, values, {"description": meaning, **({"units": unit} if unit else {})})
        if genomes:
            variables["genome"] = (["elite", "gene"], self.genomes, {"description": "genes, as they were evaluated"})
        attributes = {"kind": self.kind, "capacity": self.capacity, "qd_offset": self.qd_offset, **self.metrics}
        return xarray.Dataset(variables, coords={"axis": [axis.name for axis in self.axes]}, attrs=attributes)

    def to_grid(self, column: str = "fitness") -> "xarray.DataArray":
        """A column of a grid's elites by cell, of the shape `shape`, NaN where a cell is empty; coordinates are the middles of the cells."""
        import xarray

        if self.shape is None:
            from ._illume import Error

            raise Error(f"an archive of kind \"{self.kind}\" is no grid: to_xarray() has its elites")
        values = self.columns[column].astype(np.float64)
        cells = np.full((self.capacity, *values.shape[1:]), np.nan)
        cells[self.cells] = values
        coords = {}
        for axis, count in zip(self.axes, self.shape):
            middles = axis.lower + (np.arange(count) + 0.5) * (axis.upper - axis.lower) / count
            coords[axis.name] = ([axis.name], middles, {"units": axis.unit} if axis.unit else {})
        dims = [axis.name for axis in self.axes] + (["item"] if values.ndim == 2 else [])
        return xarray.DataArray(cells.reshape(self.shape + values.shape[1:]), dims=dims, coords=coords, name=column)
