"""How fast, on this machine: latencies, throughput, memory, start, and what the machine could do at best.

Start reading at `measuring.py`. `vultus benchmark` shows what is measured here.
"""
