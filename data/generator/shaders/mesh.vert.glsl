in vec3 position;
in vec3 normal;
in vec3 rest_attribute;
in vec4 at_attribute;
in float ambient;
uniform mat4 model, view_projection;
out vec3 world;
out vec3 surface_normal;
out vec3 rest;
out vec4 at;
out float ambient_in;
void main() {
    vec4 w = model * vec4(position, 1);
    world = w.xyz;
    surface_normal = mat3(model) * normal;
    rest = rest_attribute;
    at = at_attribute;
    ambient_in = ambient;
    gl_Position = view_projection * w;
}
