//! Nothing: the benchmarks beside this file are a package of their own because those of a package with a program build that program anew,
//! with whatever features they are given.
