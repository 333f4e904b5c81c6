"""What several tests share: doubles that speak a real protocol, and real programs to run."""
