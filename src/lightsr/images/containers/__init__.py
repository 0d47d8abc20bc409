"""What lightsr reads and writes in picture files itself, one module per container.

Pixels are left to libvips. These modules look at what it does not tell (animation, pages, files
cut short, EXIF of TIFF) and put EXIF into finished files untouched: libvips would take it apart
and lose maker notes.
"""
