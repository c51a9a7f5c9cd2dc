# The planar arm as a program of your own, in R without packages: binary frames. Rscript arm.R
dim <- 12L
input <- file("stdin", "rb")
output <- pipe("cat", "wb")   # R's own standard output is a text connection

simulate <- function(genome, seed) {
  angle <- cumsum(2 * pi * genome - pi)
  spread <- sqrt(mean((genome - mean(genome))^2))
  c(-spread, 0.5 + 0.5 * mean(cos(angle)), 0.5 + 0.5 * mean(sin(angle)))   # fitness, then the descriptor
}

# The greeting ends with a line's end; this program goes by what it says itself.
repeat if (length(byte <- readBin(input, "raw", 1)) == 0 || byte == as.raw(10)) break
axis <- function(name) sprintf('{"name": "%s", "lower": 0, "upper": 1}', name)
greeting <- sprintf('{"illume": 1, "dim": %d, "bounds": [0, 1], "descriptor": [%s, %s], "qd_offset": 0.5, "deterministic": true, "frames": "binary", "batch": 64}\n',
                    dim, axis("x"), axis("y"))
writeBin(charToRaw(greeting), output)
flush(output)

repeat {
  head <- readBin(input, "integer", 3, size = 4, endian = "little")   # bytes that follow the first number, rows, 0
  if (length(head) < 3) break
  rows <- head[2]
  seeds <- readBin(input, "integer", 2 * rows, size = 4, endian = "little")   # two halves of each; this task does without them
  genomes <- matrix(readBin(input, "numeric", rows * dim, size = 4, endian = "little"), nrow = dim)
  scores <- apply(genomes, 2, simulate, seed = 0)
  writeBin(as.integer(8 * length(scores)), output, size = 4, endian = "little")
  writeBin(as.vector(scores), output, size = 8, endian = "little")
  flush(output)
}
