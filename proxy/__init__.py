"""The proxy: owns I/O, time and concurrency."""
