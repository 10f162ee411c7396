// How dialled-in workers are named: the scheme of their URLs, which nobody can give to the control plane.

/** `tunnel:NAME` is the URL by which a router knows a dialled-in worker. */
export const TUNNEL = 'tunnel:'
