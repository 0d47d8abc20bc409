"""PSNR, SSIM, and the protocol behind the published tables."""

from lightsr.metrics.protocol import Score, compare
from lightsr.metrics.psnr import psnr
from lightsr.metrics.ssim import ssim

__all__ = ["Score", "compare", "psnr", "ssim"]
