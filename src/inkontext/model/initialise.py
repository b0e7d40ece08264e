"""Starting values for training from nothing.

As public training code for FLUX does: modulations and the final layer at zero, so that every block begins as
the identity and the network predicts zero velocity; embedders normal(0.02); other matrices Xavier.
"""

from __future__ import annotations

from torch import nn

from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.transformer import FluxTransformer

QUIET_LOGVAR = -4.0


def initialise_autoencoder(autoencoder: AutoEncoder) -> AutoEncoder:
    """Begin with little posterior noise: at log-variance 0 it drowns the mean for the first thousands of steps."""
    bias = autoencoder.encoder.conv_out.bias
    assert bias is not None
    nn.init.zeros_(bias)
    bias.data[autoencoder.cfg.z_channels :] = QUIET_LOGVAR
    return autoencoder


def initialise(transformer: FluxTransformer) -> FluxTransformer:
    """Set every weight in place; uses the global generator."""
    for name, module in transformer.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        if name.endswith((".lin", "adaLN_modulation.1", "final_layer.linear")):
            nn.init.zeros_(module.weight)
        elif name.startswith(("time_in", "vector_in", "guidance_in")):
            nn.init.normal_(module.weight, std=0.02)
        else:
            nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    if transformer.guidance_in is not None:
        # A student starts equal to a teacher without this input (Meng et al. 2022).
        nn.init.zeros_(transformer.guidance_in.out_layer.weight)
    return transformer
