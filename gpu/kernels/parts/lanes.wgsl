// Part of a shader whose workgroups have as many invocations as whoever asks for it says.

override LANES: u32;
