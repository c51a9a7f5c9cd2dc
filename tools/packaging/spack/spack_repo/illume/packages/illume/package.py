# Recipe of Spack (1.0 or newer) for illume, built from the clone that you are in:
#
#   spack repo add tools/packaging/spack/spack_repo/illume
#   spack dev-build illume@0.1.0 +mpi
#
# Robots and language models are not among its variants, since Spack has no MuJoCo that new: `make build` in the clone has them.

from spack_repo.builtin.build_systems.generic import Package

from spack.package import *


class Illume(Package):
    """Evolutionary and quality-diversity optimization on clusters: MPI ranks, threads, HDF5 archives"""

    license("MIT OR Apache-2.0")

    version("0.1.0")

    variant("mpi", default=True, description="Runs on several nodes, under mpirun or srun")
    variant("parquet", default=False, description="Exports archives as .parquet")

    depends_on("c", type="build")
    depends_on("rust@1.92:", type="build")
    depends_on("pkgconfig", type="build")
    # A serial HDF5: ranks do not write into one file together.
    depends_on("hdf5@1.10:+hl~mpi")
    depends_on("mpi", when="+mpi")
    # libclang, for the bindings of MPI.
    depends_on("llvm+clang", type="build", when="+mpi")

    def setup_build_environment(self, env):
        env.set("HDF5_DIR", self.spec["hdf5"].prefix)
        if self.spec.satisfies("+mpi"):
            env.set("MPICC", self.spec["mpi"].mpicc)
            env.set("LIBCLANG_PATH", self.spec["llvm"].prefix.lib)

    def install(self, spec, prefix):
        features = [name for name in ["mpi", "parquet"] if spec.satisfies(f"+{name}")]
        cargo = which("cargo", required=True)
        cargo("install", "--locked", "--no-track", "--path", ".", "--root", prefix, "--features", ",".join(features), "-j", str(make_jobs))
        install_tree("experiments", prefix.share.illume.experiments)
