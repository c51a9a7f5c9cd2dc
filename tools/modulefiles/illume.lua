-- Module file of illume for Lmod. `make install PREFIX=FOLDER MODULES="openmpi/4.1.4"` writes it to FOLDER/modulefiles/illume/VERSION.lua with
-- its two places filled in; `make bundle` puts it beside the program as it is, and it then finds the program from where it lies itself.

local prefix = "@PREFIX@"
-- Modules that are loaded before, such as the MPI and the HDF5 that illume was built with.
local needs = { --[[ @MODULES@ ]] }

if prefix:sub(1, 1) ~= "/" then
  prefix = myFileName():match("^(.*)/modulefiles/[^/]+/[^/]+$")
end
local version = myModuleVersion()
-- A bundle has a script at its top, which looks for PyTorch and starts bin/illume.
local programs = isFile(pathJoin(prefix, "illume")) and prefix or pathJoin(prefix, "bin")

help(string.format([[
illume %s: evolutionary and quality-diversity optimization. One program, MPI ranks and threads, archives in HDF5.

  illume list                       tasks, strategies, archives
  illume new arm map_elites         a configuration with every key explained
  illume run my.toml --out runs/my  runs it on this node; mpirun or srun in front: on many
  illume submit my.toml --help      runs it as a job that goes on after its time limit
  illume info runs/my               what a run has found

Configurations of many experiments: $ILLUME_ROOT/%s
]], version, programs == prefix and "experiments" or "share/illume/experiments"))
whatis("Name: illume")
whatis("Version: " .. version)
whatis("Category: optimization, evolutionary computation, quality-diversity")
whatis("Description: evolutionary and quality-diversity optimization on clusters: MPI ranks, threads, HDF5 archives")

-- One of its versions at a time: the one that is loaded last.
family("illume")
for _, module in ipairs(needs) do
  depends_on(module)
end
setenv("ILLUME_ROOT", prefix)
prepend_path("PATH", programs)
